//! SQL Server and Azure Synapse, by TDS 7.4.

use std::time::Duration;

use arrow_schema::SchemaRef;

use crate::discovered::Discovered;
use crate::error::{ErrorCode, SourceError, no_tls_offered};
use crate::filter::Filter;
use crate::gate;
use crate::network::NetworkPolicy;
use crate::network::tls::{Tls, TlsMode};
use crate::registry::SourceType;
use crate::rows::Unfit;
use crate::settings::Settings;
use crate::source::Relation;
use crate::wire::server::{Driver, Out, Work};
use crate::wire::{Bytes, Endpoint, not_signed_in};

mod discover;
mod login;
mod plan;
mod stream;
mod token;

use login::{Encryption, Login};
use plan::Plan;
use stream::Wire;
use token::{Column, Raw, Token};

/// Servers that send on to another one, in a row.
const ROUTES: usize = 3;
/// Bytes of the names that signing in takes; a token may have more.
const LONGEST_NAME: usize = 128;
const LONGEST_TOKEN: usize = 64 << 10;

/// A server.
pub(crate) struct SqlServer {
    endpoint: Endpoint,
    settings: Settings,
    mode: TlsMode,
    database: String,
    schema: String,
    synapse: bool,
    unfit: Unfit,
    truncate: bool,
    read_only: bool,
}

/// A connection that is signed in.
pub(crate) struct Conn {
    wire: Wire,
    version: Option<String>,
    explain: Explain,
}

/// Makes errors of what the server says.
#[derive(Clone)]
struct Explain(crate::settings::Credentials);

impl Explain {
    /// The contract's code for an error of the server. Only the error's number is told.
    fn error(&self, number: i32, message: &str) -> SourceError {
        let known = match number {
            18456 | 18470 | 18486..=18488 | 18452 | 40607 | 40532 => not_signed_in(),
            4060 | 911 | 40613 => SourceError::connection("The database does not exist or cannot be opened."),
            229 | 230 | 262 | 297 | 300 | 916 => {
                SourceError::forbidden(format!("The user may not read this (error {number})."))
            }
            207 | 208 => SourceError::changed(format!("A table or column does not exist (error {number}).")),
            1222 | -2 => SourceError::new(ErrorCode::Timeout, "The query took too long, or was cancelled."),
            17809 | 10928 | 10929 | 40501 | 40197 => {
                SourceError::connection("The server has no free connection, or cannot serve at the moment.")
            }
            _ => SourceError::refused(format!("The server refused the query (error {number}).")),
        };
        known.with_detail(self.0.redact(message))
    }
}

impl Conn {
    /// Runs one statement with parameters, all of them text.
    async fn start(&mut self, query: &str, parameters: &[String]) -> Result<(), SourceError> {
        let (kind, message) = request(query, parameters);
        self.wire.send(kind, &message).await
    }

    /// Gives every row, its values as text, to a function.
    async fn rows(
        &mut self,
        query: &str,
        parameters: &[String],
        mut each: impl FnMut(Vec<Option<String>>) + Send,
    ) -> Result<(), SourceError> {
        self.start(query, parameters).await?;
        let mut columns: Vec<Column> = Vec::new();
        let mut failure = None;
        while let Some((token, range)) = self.wire.token(&columns).await? {
            match token {
                Token::Columns(found) => columns = found,
                Token::Error { number, message } => {
                    failure.get_or_insert_with(|| self.explain.error(number, &message));
                }
                Token::Row { compressed } => {
                    let mut rest = Bytes(self.wire.bytes(range.start + 1..range.end));
                    let mut cells = Vec::with_capacity(columns.len());
                    let _ = token::values(&mut rest, &columns, compressed, |index, raw| {
                        cells.push(columns.get(index).and_then(|column| shown(column, raw)));
                    });
                    each(cells);
                }
                _ => {}
            }
        }
        failure.map_or(Ok(()), Err)
    }
}

/// A batch, or, with parameters, a call of `sp_executesql`.
fn request(query: &str, parameters: &[String]) -> (u8, Vec<u8>) {
    // All headers (22 bytes), of which there is one: no transaction, one request.
    let mut message = Vec::new();
    message.extend(22_u32.to_le_bytes());
    message.extend(18_u32.to_le_bytes());
    message.extend(2_u16.to_le_bytes());
    message.extend(0_u64.to_le_bytes());
    message.extend(1_u32.to_le_bytes());
    if parameters.is_empty() {
        message.extend(query.encode_utf16().flat_map(u16::to_le_bytes));
        return (stream::BATCH, message);
    }
    message.extend(u16::MAX.to_le_bytes());
    message.extend(10_u16.to_le_bytes());
    message.extend(0_u16.to_le_bytes());
    let names: Vec<String> =
        (1..=parameters.len()).map(|number| format!("@p{number} nvarchar(max)")).collect();
    text_parameter(&mut message, "", query);
    text_parameter(&mut message, "", &names.join(", "));
    for (index, value) in parameters.iter().enumerate() {
        text_parameter(&mut message, &format!("@p{}", index + 1), value);
    }
    (stream::RPC, message)
}

/// A parameter of type `nvarchar(max)`.
fn text_parameter(message: &mut Vec<u8>, name: &str, text: &str) {
    message.push(u8::try_from(name.len()).unwrap_or_default());
    message.extend(name.encode_utf16().flat_map(u16::to_le_bytes));
    message.extend([0, 0xE7, 0xFF, 0xFF, 0x09, 0x04, 0xD0, 0x00, 0x34]);
    let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    message.extend((bytes.len() as u64).to_le_bytes());
    if !bytes.is_empty() {
        message.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
        message.extend(bytes);
    }
    message.extend(0_u32.to_le_bytes());
}

/// A value of any type as text, for results of tests and names.
fn shown(column: &Column, raw: Raw<'_>) -> Option<String> {
    let bytes = raw.bytes()?;
    let bytes = bytes.as_ref();
    let known = match column.kind {
        0x32 | 0x68 | 0x30 | 0x34 | 0x38 | 0x7F | 0x26 => plan::whole(bytes).map(|number| number.to_string()),
        0x3B | 0x3E | 0x6D if bytes.len() == 4 => Bytes(bytes).f32_le().map(|number| number.to_string()),
        0x3B | 0x3E | 0x6D => Bytes(bytes).f64_le().map(|number| number.to_string()),
        0x37 | 0x3F | 0x6A | 0x6C => plan::decimal(bytes)
            .zip(i8::try_from(column.scale).ok())
            .map(|(number, scale)| crate::filter::decimal_text(number, scale)),
        0x28 => plan::days(bytes).and_then(|days| {
            let epoch = jiff::civil::date(1970, 1, 1);
            epoch.checked_add(jiff::Span::new().try_days(days).ok()?).ok().map(|date| date.to_string())
        }),
        0xE7 | 0xEF | 0x63 | 0xF1 => Some(token::text(bytes)),
        0xA7 | 0xAF | 0x23 => Some(encoding_rs::mem::decode_latin1(bytes).into_owned()),
        _ => None,
    };
    let bounded = bytes.get(..bytes.len().min(2 * gate::LONGEST_RESULT)).unwrap_or_default();
    Some(known.unwrap_or_else(|| format!("0x{}", hex::encode(bounded))))
}

impl SqlServer {
    pub(crate) async fn open(settings: &Settings, policy: &NetworkPolicy) -> Result<Self, SourceError> {
        let synapse = settings.kind == SourceType::Synapse;
        let endpoint = Endpoint::open(settings, policy).await?;
        let database = endpoint.database.clone();
        let option = |name: &str| endpoint.options.get(name).map(|word| word.to_ascii_lowercase());
        let trusts = endpoint.switch("trustservercertificate")? == Some(true);
        let default = match option("encrypt").as_deref() {
            Some("strict") => {
                return Err(SourceError::connection("Encrypt=Strict is not spoken; use Encrypt=Mandatory."));
            }
            Some("true" | "yes" | "mandatory") if trusts => TlsMode::Require,
            Some("true" | "yes" | "mandatory") => TlsMode::VerifyFull,
            Some("false" | "no" | "optional") => TlsMode::Prefer,
            Some(_) => {
                return Err(SourceError::connection(
                    "Encrypt of the connection string must be Mandatory (or true), or Optional (or false).",
                ));
            }
            None if synapse => TlsMode::VerifyFull,
            None => TlsMode::Prefer,
        };
        let mode = Tls::of(settings, &endpoint.host, default)?.mode;
        let read_only = option("applicationintent").as_deref() == Some("readonly");
        Ok(Self {
            mode,
            database: database.ok_or_else(|| SourceError::connection("database_name is missing."))?,
            schema: settings.schema_name.clone().unwrap_or_else(|| "dbo".to_owned()),
            synapse,
            unfit: Unfit::of(settings)?,
            truncate: settings.choice("fine_times", &["text", "truncate"])? == "truncate",
            read_only,
            settings: settings.clone(),
            endpoint,
        })
    }

    /// Settles encryption. None if the server has none, and it is not asked for.
    async fn greeted(&self, host: &str, port: u16) -> Result<(Wire, Option<[u8; 32]>), SourceError> {
        let by_token = self.endpoint.credentials.oauth_token.is_some();
        let mut wanted = match self.mode {
            TlsMode::Disable => Encryption::NotSupported,
            _ => Encryption::On,
        };
        loop {
            let mut wire = Wire::new(self.endpoint.stream(host, port, None).await?);
            wire.send(stream::PRELOGIN, &login::prelogin(wanted, by_token)).await?;
            let (answer, nonce) = login::answered(wire.message().await?).ok_or_else(stream::garbled)?;
            match (wanted, answer) {
                (Encryption::On, Encryption::On | Encryption::Required) => {
                    let tls = Tls::of(&self.settings, host, self.mode)?;
                    return Ok((wire.secured(&tls).await?, nonce));
                }
                (Encryption::NotSupported, Encryption::NotSupported | Encryption::Off) => {
                    return Ok((wire, nonce));
                }
                (Encryption::NotSupported, _) => {
                    return Err(SourceError::connection(
                        "The server asks for TLS, which metadata.ssl_mode switches off.",
                    ));
                }
                // Who takes tokens has TLS: who says that there is none may be somebody on the way, who would be told the token.
                _ if self.mode == TlsMode::Prefer && by_token => {
                    return Err(SourceError::connection(
                        "The server does not offer TLS, without which a token is sent only where metadata.ssl_mode is disable.",
                    ));
                }
                // A connection whose encryption was not settled is over; the next one asks for none.
                _ if self.mode == TlsMode::Prefer => wanted = Encryption::NotSupported,
                _ => return Err(no_tls_offered(self.mode)),
            }
        }
    }

    fn login<'a>(&'a self, host: &'a str, nonce: Option<[u8; 32]>) -> Result<Login<'a>, SourceError> {
        let credentials = &self.endpoint.credentials;
        let login = Login {
            user: self.endpoint.username.as_deref().unwrap_or_default(),
            password: credentials.password.as_ref().map(|secret| secret.expose()).unwrap_or_default(),
            token: credentials.oauth_token.as_ref().map(|secret| secret.expose()),
            nonce,
            server: host,
            database: &self.database,
            read_only: self.read_only,
        };
        let long = |text: &str| text.encode_utf16().count() > LONGEST_NAME;
        if long(login.user) || long(login.password) || long(login.database) || long(login.server) {
            return Err(SourceError::connection(format!(
                "User name, password, host and database have at most {LONGEST_NAME} characters."
            )));
        }
        if login.token.is_some_and(|token| token.len() > LONGEST_TOKEN) {
            return Err(SourceError::connection(format!("The token has more than {LONGEST_TOKEN} bytes.")));
        }
        Ok(login)
    }
}

/// How signing in ended.
enum SignedIn {
    Here(Box<Conn>),
    Elsewhere(String, u16),
}

impl SqlServer {
    async fn sign_in(&self, host: &str, port: u16) -> Result<SignedIn, SourceError> {
        let explain = Explain(self.endpoint.credentials.clone());
        let (mut wire, nonce) = self.greeted(host, port).await?;
        wire.send(stream::LOGIN, &login::login7(&self.login(host, nonce)?)).await?;
        let (mut version, mut accepted, mut failure) = (None, false, None);
        while let Some((token, _)) = wire.token(&[]).await? {
            match token {
                Token::LoginAck { product, version: (major, minor, build) } => {
                    accepted = true;
                    version = Some(format!("{product} {major}.{minor}.{build}"));
                }
                Token::PacketSize(bytes) => wire.set_packet(bytes),
                Token::Route { host, port } => return Ok(SignedIn::Elsewhere(host, port)),
                Token::Error { number, message } => {
                    failure.get_or_insert_with(|| explain.error(number, &message));
                }
                _ => {}
            }
        }
        match failure {
            Some(failure) if !accepted => Err(failure),
            None if !accepted => Err(stream::garbled()),
            _ => Ok(SignedIn::Here(Box::new(Conn { wire, version, explain }))),
        }
    }
}

#[async_trait::async_trait]
impl Driver for SqlServer {
    type Conn = Conn;
    type Plan = Plan;

    fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    async fn connect(&self, _: Duration) -> Result<Conn, SourceError> {
        let mut place = (self.endpoint.host.clone(), self.endpoint.port);
        for _ in 0..ROUTES {
            match self.sign_in(&place.0, place.1).await? {
                SignedIn::Here(conn) => return Ok(*conn),
                // Checked like any other address when it is dialled.
                SignedIn::Elsewhere(host, port) => {
                    place = (host.split('\\').next().unwrap_or_default().to_owned(), port);
                }
            }
        }
        Err(SourceError::connection("The server sends on to another one again and again."))
    }

    async fn is_alive(&self, conn: &mut Conn) -> bool {
        conn.rows("SELECT 1", &[], |_| ()).await.is_ok()
    }

    async fn probe(
        &self,
        conn: &mut Conn,
        query: Option<&str>,
    ) -> Result<(Option<String>, Option<String>), SourceError> {
        let query = gate::read_only_tsql(query.unwrap_or("SELECT 1"))?;
        if !self.synapse {
            // What the query might still change is undone when the connection ends.
            conn.rows("SET IMPLICIT_TRANSACTIONS ON", &[], |_| ()).await?;
        }
        conn.start(query, &[]).await?;
        let mut columns: Vec<Column> = Vec::new();
        let mut first = None;
        while let Some((token, range)) = conn.wire.token(&columns).await? {
            match token {
                Token::Columns(found) => columns = found,
                Token::Error { number, message } => return Err(conn.explain.error(number, &message)),
                Token::Row { compressed } => {
                    let mut rest = Bytes(conn.wire.bytes(range.start + 1..range.end));
                    let _ = token::values(&mut rest, &columns, compressed, |index, raw| {
                        if index == 0 {
                            first = columns.first().and_then(|column| shown(column, raw));
                        }
                    });
                    break;
                }
                _ => {}
            }
        }
        Ok((conn.version.clone(), first))
    }

    async fn discover(&self, conn: &mut Conn, schema: Option<&str>) -> Result<Discovered, SourceError> {
        discover::discover(conn, schema, self.synapse).await
    }

    async fn plan(&self, conn: &mut Conn, relation: &Relation) -> Result<Plan, SourceError> {
        let schema = relation.schema.as_deref().unwrap_or(&self.schema);
        let found = discover::columns(conn, schema, &relation.table).await?;
        Ok(Plan::of(found, self.unfit, self.truncate))
    }

    fn schema<'p>(&self, plan: &'p Plan) -> &'p SchemaRef {
        &plan.schema
    }

    fn applies(&self, plan: &Plan, filters: &[Filter]) -> Vec<bool> {
        plan.applies(filters)
    }

    async fn read(&self, conn: &mut Conn, work: &Work<Plan>, out: &mut Out) -> Result<(), SourceError> {
        let schema = work.relation.schema.as_deref().unwrap_or(&self.schema);
        let table = &work.relation.table;
        let (query, parameters) = work.plan.query(schema, table, &work.schema, &work.filters, work.limit);
        conn.start(&query, &parameters).await?;
        let mut columns: Vec<Column> = Vec::new();
        while let Some((token, range)) = conn.wire.token(&columns).await? {
            match token {
                Token::Columns(found) => {
                    let wanted = work.schema.fields().len().max(1);
                    if found.len() != wanted {
                        return Err(stream::garbled());
                    }
                    columns = found;
                }
                Token::Error { number, message } => return Err(conn.explain.error(number, &message)),
                Token::Row { compressed } => {
                    let mut rest = Bytes(conn.wire.bytes(range.start + 1..range.end));
                    let mut outcome = Ok(());
                    let whole = token::values(&mut rest, &columns, compressed, |index, raw| {
                        let (Some(field), Some(column)) =
                            (work.schema.fields().get(index), columns.get(index))
                        else {
                            return;
                        };
                        if outcome.is_ok() {
                            let kind = field.data_type();
                            outcome = plan::cell(field.name(), kind, column.scale, raw, self.unfit, |cell| {
                                out.append(index, cell)
                            });
                        }
                    });
                    outcome?;
                    whole.filter(|()| !columns.is_empty()).ok_or_else(stream::garbled)?;
                    out.end_row().await?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    async fn abandon(&self, mut conn: Conn) {
        let _ = conn.wire.attention().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_batches_or_calls() {
        let (kind, message) = request("S", &[]);
        assert_eq!((kind, message.len()), (stream::BATCH, 24));
        let (kind, message) = request("S", &["v".to_owned()]);
        assert_eq!(kind, stream::RPC);
        assert_eq!(&message[22..28], [0xFF, 0xFF, 10, 0, 0, 0]);
        assert!(message.windows(4).any(|part| part == b"v\0\0\0"));
    }
}
