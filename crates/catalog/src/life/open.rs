//! A source is opened with its secrets.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use tidegate_connect::{
    ConnectionString, ErrorCode, FileSource, Secret, Settings, Source, SourceError, SshSettings,
};
use tidegate_kernel::Fault;

use crate::Catalog;
use crate::life::file::of_file;
use crate::life::pools::close;
use crate::sources::DataSource;
use crate::sources::sealed::{open_credentials, open_string};

/// Why a source is not open: it, or this server.
pub(crate) enum NotOpen {
    /// The source's doing, or its settings'.
    Source(SourceError),
    /// Ours.
    Fault(Fault),
}

impl From<SourceError> for NotOpen {
    fn from(error: SourceError) -> Self {
        Self::Source(error)
    }
}

impl From<Fault> for NotOpen {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl Catalog {
    /// The source, open. The caller bounds how long that may take.
    pub(crate) async fn opened(&self, source: &DataSource) -> Result<Arc<dyn Source>, NotOpen> {
        let file = self.present_file(source).await?;
        if let Some(open) = self.pools.find(source, self.kernel.now()) {
            return Ok(open);
        }
        let Ok(closed) = self.pools.make_room(source) else {
            let text = "The organization holds as many connections as it may; all are in use.";
            return Err(SourceError::new(ErrorCode::Connection, text).into());
        };
        for open in closed {
            close(&open).await;
        }
        let settings = self.settings_of(source, file).await?;
        let opened = tidegate_connect::open(settings, &self.settings.network()).await;
        let opened = opened.map_err(|error| of_file(source, error))?;
        let (open, spare) = self.pools.keep(source, opened, self.kernel.now());
        if let Some(spare) = spare {
            close(&spare).await;
        }
        Ok(open)
    }

    async fn settings_of(&self, source: &DataSource, file: Option<FileSource>) -> Result<Settings, NotOpen> {
        let (kernel, connection) = (&self.kernel, &source.connection);
        let credentials = open_credentials(kernel, source.id, source.sealed.credentials.as_deref())?;
        let string = open_string(kernel, source.id, source.sealed.connection_string.as_deref())?;
        let secret = |name: &str| credentials.get(name).map(|secret| Secret::new(secret.expose()));
        let metadata = match source.metadata.to_value() {
            Ok(Value::Object(fields)) => fields,
            _ => Map::new(),
        };
        Ok(Settings {
            host: connection.host.clone(),
            port: connection.port,
            database_name: connection.database_name.clone(),
            schema_name: connection.schema_name.clone(),
            connection_string: string.map(|text| ConnectionString::new(text.expose())),
            file,
            ssh: ssh(source),
            connection_timeout: Duration::from_secs(connection.connection_timeout.into()),
            query_timeout: Duration::from_secs(connection.query_timeout.into()),
            pool_size: connection.pool_size,
            disk: self.pools.disk(source.organization),
            metadata,
            credentials: tidegate_connect::Credentials {
                username: secret("username"),
                password: secret("password"),
                api_key: secret("api_key"),
                client_secret: secret("client_secret"),
                oauth_token: secret("oauth_token"),
                ssh_private_key: secret("ssh_private_key"),
                ssh_passphrase: secret("ssh_passphrase"),
                ssl_key: secret("ssl_key"),
                warehouse: secret("warehouse"),
                role: secret("role"),
            },
            ..Settings::new(source.kind)
        })
    }
}

fn ssh(source: &DataSource) -> Option<SshSettings> {
    let connection = &source.connection;
    if !connection.use_ssh_tunnel {
        return None;
    }
    Some(SshSettings {
        host: connection.ssh_host.clone()?,
        port: connection.ssh_port.unwrap_or(22),
        username: connection.ssh_username.clone()?,
        local_port: connection.ssh_local_port,
        password: None,
        pinned_host_key: source.ssh_host_key.clone(),
    })
}
