//! Fields that the type of a JSON object does not have.
//!
//! Every object of a request is read here. A field that is not known is refused, or named in the log: read as one that was
//! left out, it would make something else than was meant.

use std::fmt;

use serde::de::value::StringDeserializer;
use serde::de::{DeserializeOwned, DeserializeSeed, Error, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, forward_to_deserialize_any};
use serde_json::value::RawValue;
use tidegate_domain::text::nearest;
use tidegate_kernel::noted;
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};

use crate::wire::expiry::says_expiry;
use crate::wire::fields::{Check, Expected, Violations};
use crate::wire::unmatched::is_word;

/// Most names that are kept of one object; the others are counted. No answer that is sent back has as many.
const MOST_KEPT: usize = 256;
/// Most fields that are told of one object, or query.
pub(crate) const MOST_TOLD: usize = 20;
/// Longest part that is told of their names, in characters.
const LONGEST_TOLD: usize = 64;
/// Most fields of a type that are listed where none is like the one that was sent.
const MOST_LISTED: usize = 12;
/// Most fields of one object that the log names.
const MOST_LOGGED: usize = 10;

/// A body that is refused where it has a field that its type does not have. Its description must say so, too:
/// `#[serde(deny_unknown_fields)]`.
pub(crate) trait Exact: DeserializeOwned {
    /// Fields that mean nothing here, of an answer that clients send back. They are ignored, and the log names them.
    fn sent_back() -> Vec<String> {
        Vec::new()
    }

    /// Where a field of that name belongs, if it is one of something else: the end of a sentence.
    fn place_of(_name: &str) -> Option<String> {
        None
    }
}

/// The fields of one object that its type does not have. What is `null` says nothing and is none of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unknown {
    /// The fields that its type has.
    known: &'static [&'static str],
    names: Vec<String>,
    /// How many there are besides.
    more: usize,
}

/// A JSON object, read as one. An array is none, though its items could be taken for the members in their order.
#[derive(Clone, Debug)]
pub(crate) struct Object<T> {
    object: T,
    unknown: Unknown,
}

/// Reads an object, and which of its fields `T` does not have.
pub(crate) fn read<T: DeserializeOwned>(text: &str) -> serde_json::Result<(T, Unknown)> {
    let mut unknown = Unknown::default();
    let mut json = serde_json::Deserializer::from_str(text);
    let object = T::deserialize(Noting { json: &mut json, unknown: &mut unknown })?;
    json.end()?;
    Ok((object, unknown))
}

/// Refuses a body with fields that it does not have, but for those that are sent back: their names.
pub(crate) fn refuse<T: Exact>(unknown: Unknown) -> Result<Vec<String>, Violations> {
    let Unknown { known, names, more } = unknown;
    let sent_back = if names.is_empty() { Vec::new() } else { T::sent_back() };
    let (ignored, others): (Vec<String>, Vec<String>) =
        names.into_iter().partition(|name| sent_back.contains(name));
    let mut check = Check::new();
    for name in others.iter().take(MOST_TOLD) {
        check.violated::<()>(told(name), said(name, known, T::place_of(name)));
    }
    check.finish(Some(()))?;
    log(&ignored, more);
    Ok(ignored)
}

/// Refuses a part of a form that `T` does not describe.
pub(crate) fn not_known<T: ToSchema>(name: &str) -> Violations {
    let fields = fields_of::<T>();
    let known: Vec<&str> = fields.iter().map(String::as_str).collect();
    Violations::of(told(name), said(name, &known, None))
}

/// The names of the fields that a type is described with.
pub(crate) fn fields_of<T: ToSchema>() -> Vec<String> {
    let (mut others, mut names) = (Vec::new(), Vec::new());
    T::schemas(&mut others);
    collect(&T::schema(), &others, &mut names);
    names
}

/// An object that has the fields of another one refers to it.
fn collect(schema: &RefOr<Schema>, others: &[(String, RefOr<Schema>)], names: &mut Vec<String>) {
    match schema {
        RefOr::T(Schema::Object(object)) => names.extend(object.properties.keys().cloned()),
        RefOr::T(Schema::AllOf(all)) => all.items.iter().for_each(|item| collect(item, others, names)),
        RefOr::Ref(reference) => {
            let name = reference.ref_location.rsplit('/').next();
            let found = others.iter().find(|(other, _)| Some(other.as_str()) == name);
            if let Some((_, schema)) = found {
                collect(schema, others, names);
            }
        }
        RefOr::T(_) => {}
    }
}

impl Unknown {
    /// Names them in the request's line of the log.
    pub(crate) fn note(&self) {
        log(&self.names, self.more);
    }

    fn push(&mut self, name: String) {
        if self.names.len() < MOST_KEPT {
            self.names.push(name);
        } else {
            self.more += 1;
        }
    }
}

/// A name as it is told; of a long one the beginning.
pub(crate) fn told(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(LONGEST_TOLD).collect()
}

/// What is wrong with a field of that name, where there are the known ones.
fn said(name: &str, known: &[&str], place: Option<String>) -> String {
    if let Some(place) = place {
        return format!("is not known here; {place}");
    }
    let is_expiry = says_expiry(name);
    // What it is called elsewhere need not be spelled alike: `ttl`.
    let near = match is_expiry {
        true => known.iter().copied().find(|known| says_expiry(known)),
        false => nearest(name, known.iter().copied()),
    };
    match near {
        Some(near) => format!("is not known here; did you mean {near}?"),
        None if is_expiry => "is not known here, where no expiry can be set".to_owned(),
        None if (1..=MOST_LISTED).contains(&known.len()) => {
            format!("is not known here; there are {}", known.join(", "))
        }
        None => "is not known here".to_owned(),
    }
}

/// Names that may be secret, typed in the wrong place, are counted only.
fn log(names: &[String], more: usize) {
    let words = names.iter().filter(|name| !name.is_empty() && is_word(name));
    let mut shown: Vec<String> = words.take(MOST_LOGGED).cloned().collect();
    let rest = names.len() - shown.len() + more;
    if rest > 0 {
        shown.push(format!("{rest} more"));
    }
    noted::ignored(shown);
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Box::<RawValue>::deserialize(deserializer)?;
        if !text.get().starts_with('{') {
            return Err(D::Error::custom("not an object"));
        }
        let (object, unknown) = read(text.get()).map_err(D::Error::custom)?;
        Ok(Self { object, unknown })
    }
}

impl<T> Object<T> {
    /// The object, if all its fields are known: each other is a violation, at its place.
    pub(crate) fn all_known(self, check: &mut Check, at: impl Fn(&str) -> String) -> T {
        self.all_placed(check, at, |_| None)
    }

    /// The same, where other names are known to belong somewhere: the end of a sentence.
    pub(crate) fn all_placed(
        self,
        check: &mut Check,
        at: impl Fn(&str) -> String,
        place_of: impl Fn(&str) -> Option<String>,
    ) -> T {
        let Unknown { known, names, .. } = self.unknown;
        for name in names.iter().take(MOST_TOLD) {
            check.violated::<()>(at(&told(name)), said(name, known, place_of(name)));
        }
        self.object
    }

    /// The object, where another standard has further fields that are not needed: nothing is said of them.
    pub(crate) fn of_standard(self) -> T {
        self.object
    }
}

impl<T> Expected for Object<T> {
    const NAME: &'static str = "an object";
}

impl<T> Expected for Vec<Object<T>> {
    const NAME: &'static str = "an array of objects";
}

/// Reads JSON, and notes the fields of the outermost object that a structure does not have.
struct Noting<'a, D> {
    json: D,
    unknown: &'a mut Unknown,
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Noting<'_, D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.json.deserialize_any(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.unknown.known = fields;
        self.json.deserialize_struct(name, fields, Structure { visitor, unknown: self.unknown })
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct newtype_struct seq tuple
        tuple_struct map enum identifier ignored_any
    }
}

struct Structure<'a, V> {
    visitor: V,
    unknown: &'a mut Unknown,
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Structure<'_, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.visitor.expecting(f)
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_map(KnownFields { fields, unknown: self.unknown })
    }
}

/// The fields that a structure has. It never sees the others, so that one that denies them tells of none itself.
struct KnownFields<'a, A> {
    fields: A,
    unknown: &'a mut Unknown,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for KnownFields<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        while let Some(name) = self.fields.next_key::<String>()? {
            if self.unknown.known.contains(&name.as_str()) {
                return seed.deserialize(StringDeserializer::<A::Error>::new(name)).map(Some);
            }
            if self.fields.next_value::<Option<IgnoredAny>>()?.is_some() {
                self.unknown.push(name);
            }
        }
        Ok(None)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.fields.next_value_seed(seed)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value};
    use tidegate_kernel::noted::noting;

    use super::*;
    use crate::wire::fields::Field;

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Token {
        #[serde(default)]
        name: Field<String>,
        #[serde(default)]
        expires_in_days: Field<i64>,
    }

    impl Exact for Token {
        fn sent_back() -> Vec<String> {
            fields_of::<TokenShown>()
        }

        fn place_of(name: &str) -> Option<String> {
            (name == "password").then(|| "it belongs elsewhere".to_owned())
        }
    }

    #[derive(Deserialize)]
    struct Undated {
        #[serde(default)]
        name: Field<String>,
    }

    impl Exact for Undated {}

    #[derive(ToSchema)]
    #[allow(dead_code, reason = "it is described")]
    struct TokenListed {
        id: i64,
    }

    #[derive(ToSchema)]
    #[allow(dead_code, reason = "it is described")]
    struct TokenShown {
        #[serde(flatten)]
        listed: TokenListed,
        created_at: String,
    }

    fn refused<T: Exact>(body: &str) -> Result<Vec<String>, String> {
        let (_, unknown) = read::<T>(body).unwrap();
        refuse::<T>(unknown).map_err(|violations| violations.summary())
    }

    #[test]
    fn a_field_that_there_is_not_is_refused_with_the_one_that_may_be_meant() {
        for (body, told) in [
            (r#"{"nam": 1}"#, "nam is not known here; did you mean name?"),
            (
                r#"{"name": "a", "zz": {"a": [1e999]}}"#,
                "zz is not known here; there are name, expires_in_days",
            ),
            (r#"{"password": "b"}"#, "password is not known here; it belongs elsewhere"),
            (r#"{"a\u0007b\n": 1}"#, "ab is not known here; there are name, expires_in_days"),
        ] {
            assert_eq!(refused::<Token>(body), Err(told.to_owned()));
        }
        let many: String = (0..100).map(|n| format!(r#""{n}": 1,"#)).collect();
        let told = refused::<Token>(&format!(r#"{{{many} "name": "a"}}"#)).unwrap_err();
        assert_eq!(told.matches("is not known").count(), MOST_TOLD);
        let long = refused::<Token>(&format!(r#"{{"{}": 1}}"#, "x".repeat(1_000))).unwrap_err();
        assert!(long.starts_with(&"x".repeat(LONGEST_TOLD)) && long.len() < 150, "{long}");
    }

    #[test]
    fn an_expiry_under_another_name_is_refused_with_the_right_one() {
        for name in
            ["expires_in", "expires", "exp", "ttl", "tokenTtl", "valid_until", "not_after", "lifetime"]
        {
            let body = format!(r#"{{"name": "a", "{name}": 1}}"#);
            let told = format!("{name} is not known here; did you mean expires_in_days?");
            assert_eq!(refused::<Token>(&body), Err(told));
            let told = format!("{name} is not known here, where no expiry can be set");
            assert_eq!(refused::<Undated>(&body), Err(told));
        }
    }

    #[test]
    fn what_is_known_is_read_and_what_is_sent_back_or_null_is_ignored() {
        let body = r#"{"id": 7, "expires_in_days": 3, "created_at": "", "ttl": null, "name": "a"}"#;
        let (token, unknown) = read::<Token>(body).unwrap();
        assert!(matches!(token.name, Field::Value(name) if name == "a"));
        assert!(matches!(token.expires_in_days, Field::Value(3)));
        assert_eq!(refuse::<Token>(unknown).unwrap(), ["id", "created_at"]);
        assert!(matches!(read::<Undated>("{}").unwrap().0.name, Field::Missing));
        for unreadable in [r#"{"name": 1, "name": 2}"#, r#"{"zz": }"#, r#"{"name": 1} x"#, r#"["a"]"#] {
            assert!(read::<Token>(unreadable).is_err(), "{unreadable}");
        }
        // A map has all of them.
        let (map, unknown) = read::<Map<String, Value>>(r#"{"zz": 1}"#).unwrap();
        assert!(map.contains_key("zz") && unknown.names.is_empty());
    }

    #[test]
    fn objects_inside_are_read_in_the_same_way() {
        let sent: Vec<Object<Token>> = serde_json::from_str(r#"[{"name": "a"}, {"nam": "b"}]"#).unwrap();
        let mut check = Check::new();
        for (place, token) in sent.into_iter().enumerate() {
            token.all_known(&mut check, |name| format!("tokens.{place}.{name}"));
        }
        let told = check.finish(Some(())).unwrap_err().summary();
        assert_eq!(told, "tokens.1.nam is not known here; did you mean name?");
        assert!(serde_json::from_str::<Object<Token>>(r#"["a"]"#).is_err());
    }

    #[tokio::test]
    async fn the_log_has_names_and_no_secrets() {
        let secrets =
            r#""hunter2-hunter2": 1, "pat_0123456789abcdef": 1, "": 1, "a b": 1, "ada@example.com": 1"#;
        let body = format!(r#"{{"role": "x", "name": "a", "is_admin": true, {secrets}}}"#);
        let ((), noted) = noting(async { read::<Undated>(&body).unwrap().1.note() }).await;
        assert_eq!(noted.ignored, ["role", "is_admin", "5 more"]);
        let ((), noted) = noting(async { read::<Undated>(r#"{"name": "a"}"#).unwrap().1.note() }).await;
        assert!(noted.ignored.is_empty());
        let many: String = ('a'..='z').map(|letter| format!(r#""{letter}": 1,"#)).collect();
        let ((), noted) =
            noting(async { read::<Undated>(&format!(r#"{{{many} "name": 1}}"#)).unwrap().1.note() }).await;
        assert_eq!((noted.ignored.len(), noted.ignored[MOST_LOGGED].as_str()), (MOST_LOGGED + 1, "16 more"));
        // So many that not even their names are kept.
        let many: String = (0..1_000).map(|number| format!(r#""{number}": 1,"#)).collect();
        let ((), noted) =
            noting(async { read::<Undated>(&format!(r#"{{{many} "name": 1}}"#)).unwrap().1.note() }).await;
        assert_eq!(noted.ignored.last().unwrap(), &format!("{} more", 1_000 - MOST_LOGGED));
    }
}
