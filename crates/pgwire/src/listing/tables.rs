//! The tables of `pg_catalog` and `information_schema`: their columns, and what they say of the relations that a person sees.
//!
//! A column is written as its name and a letter for its type: see [`kind`]. What a row does not name is false, 0 or empty.

use std::collections::{BTreeMap, BTreeSet};

use super::datum::{Datum, Type};
use crate::values::oids::PgType;

/// A table.
pub(crate) struct Table<'r> {
    pub(crate) columns: Vec<(String, Type)>,
    pub(crate) rows: &'r [Vec<Datum>],
}

/// The schemas, with their tables.
pub(crate) const SCHEMAS: [(&str, &[(&str, &str)]); 2] =
    [("pg_catalog", PG_CATALOG), ("information_schema", INFORMATION)];

const PG_CATALOG: &[(&str, &str)] = &[
    ("pg_am", "oid:o amname:n amhandler:o amtype:c"),
    ("pg_attrdef", "oid:o adrelid:o adnum:s adbin:t"),
    (
        "pg_attribute",
        "attrelid:o attname:n atttypid:o attstattarget:i attlen:s attnum:s attndims:i attcacheoff:i atttypmod:i attbyval:b \
         attalign:c attstorage:c attcompression:c attnotnull:b atthasdef:b atthasmissing:b attidentity:c attgenerated:c \
         attisdropped:b attislocal:b attinhcount:i attcollation:o attacl:N attoptions:N attfdwoptions:N attmissingval:N",
    ),
    ("pg_authid", "oid:o rolname:n rolsuper:b rolinherit:b rolcanlogin:b"),
    (
        "pg_class",
        "oid:o relname:n relnamespace:o reltype:o reloftype:o relowner:o relam:o relfilenode:o reltablespace:o relpages:i \
         reltuples:f relallvisible:i reltoastrelid:o relhasindex:b relisshared:b relpersistence:c relkind:c relnatts:s \
         relchecks:s relhasrules:b relhastriggers:b relhassubclass:b relrowsecurity:b relforcerowsecurity:b relispopulated:b \
         relreplident:c relispartition:b relrewrite:o relfrozenxid:o relminmxid:o relacl:N reloptions:A relpartbound:N",
    ),
    (
        "pg_collation",
        "oid:o collname:n collnamespace:o collowner:o collprovider:c collisdeterministic:b collencoding:i",
    ),
    (
        "pg_constraint",
        "oid:o conname:n connamespace:o contype:c condeferrable:b condeferred:b convalidated:b conrelid:o contypid:o conindid:o \
         conparentid:o confrelid:o confupdtype:c confdeltype:c confmatchtype:c conislocal:b coninhcount:i connoinherit:b \
         conkey:S confkey:S conbin:N",
    ),
    (
        "pg_database",
        "oid:o datname:n datdba:o encoding:i datlocprovider:c datistemplate:b datallowconn:b datconnlimit:i dattablespace:o \
         datcollate:t datctype:t daticulocale:N datcollversion:N datacl:N",
    ),
    ("pg_depend", "classid:o objid:o objsubid:i refclassid:o refobjid:o refobjsubid:i deptype:c"),
    ("pg_description", "objoid:o classoid:o objsubid:i description:t"),
    ("pg_enum", "oid:o enumtypid:o enumsortorder:f enumlabel:n"),
    ("pg_event_trigger", "oid:o evtname:n"),
    ("pg_extension", "oid:o extname:n extowner:o extnamespace:o extversion:t"),
    ("pg_foreign_server", "oid:o srvname:n srvowner:o srvfdw:o srvtype:t srvversion:t srvacl:N srvoptions:A"),
    ("pg_foreign_table", "ftrelid:o ftserver:o ftoptions:A"),
    (
        "pg_index",
        "indexrelid:o indrelid:o indnatts:s indnkeyatts:s indisunique:b indnullsnotdistinct:b indisprimary:b indisexclusion:b \
         indimmediate:b indisclustered:b indisvalid:b indcheckxmin:b indisready:b indislive:b indisreplident:b indkey:S \
         indcollation:O indclass:O indoption:S indexprs:N indpred:N",
    ),
    ("pg_indexes", "schemaname:n tablename:n indexname:n tablespace:N indexdef:t"),
    ("pg_inherits", "inhrelid:o inhparent:o inhseqno:i inhdetachpending:b"),
    ("pg_language", "oid:o lanname:n"),
    ("pg_matviews", "schemaname:n matviewname:n matviewowner:n"),
    ("pg_namespace", "oid:o nspname:n nspowner:o nspacl:N"),
    ("pg_opclass", "oid:o opcmethod:o opcname:n opcnamespace:o opcdefault:b"),
    ("pg_partitioned_table", "partrelid:o partstrat:c partnatts:s"),
    ("pg_policy", "oid:o polname:n polrelid:o polcmd:c polpermissive:b polroles:O polqual:N polwithcheck:N"),
    (
        "pg_proc",
        "oid:o proname:n pronamespace:o proowner:o prolang:o prokind:c proretset:b provolatile:c proargtypes:O prorettype:o \
         proargnames:A prosrc:t proacl:N",
    ),
    ("pg_publication", "oid:o pubname:n puballtables:b"),
    ("pg_publication_namespace", "oid:o pnpubid:o pnnspid:o"),
    ("pg_publication_rel", "oid:o prpubid:o prrelid:o prqual:N prattrs:S"),
    ("pg_range", "rngtypid:o rngsubtype:o rngmultitypid:o rngcollation:o rngsubopc:o"),
    ("pg_rewrite", "oid:o rulename:n ev_class:o ev_type:c ev_enabled:c is_instead:b"),
    (
        "pg_roles",
        "rolname:n rolsuper:b rolinherit:b rolcreaterole:b rolcreatedb:b rolcanlogin:b rolreplication:b rolconnlimit:i \
         rolpassword:N rolvaliduntil:N rolbypassrls:b rolconfig:A oid:o",
    ),
    (
        "pg_sequence",
        "seqrelid:o seqtypid:o seqstart:l seqincrement:l seqmax:l seqmin:l seqcache:l seqcycle:b",
    ),
    ("pg_settings", "name:t setting:t unit:N category:t short_desc:t context:t vartype:t source:t"),
    ("pg_stat_activity", "datid:o datname:n pid:i usename:n state:t query:t"),
    ("pg_stat_user_tables", "relid:o schemaname:n relname:n"),
    (
        "pg_statistic_ext",
        "oid:o stxrelid:o stxname:n stxnamespace:o stxowner:o stxstattarget:i stxkeys:S stxkind:A",
    ),
    (
        "pg_tables",
        "schemaname:n tablename:n tableowner:n tablespace:N hasindexes:b hasrules:b hastriggers:b rowsecurity:b",
    ),
    ("pg_tablespace", "oid:o spcname:n spcowner:o"),
    (
        "pg_trigger",
        "oid:o tgrelid:o tgparentid:o tgname:n tgfoid:o tgtype:s tgenabled:c tgisinternal:b tgconstraint:o tgdeferrable:b",
    ),
    (
        "pg_type",
        "oid:o typname:n typnamespace:o typowner:o typlen:s typbyval:b typtype:c typcategory:c typispreferred:b typisdefined:b \
         typdelim:c typrelid:o typsubscript:t typelem:o typarray:o typinput:t typoutput:t typreceive:t typsend:t typalign:c \
         typstorage:c typnotnull:b typbasetype:o typtypmod:i typndims:i typcollation:o typdefault:N typacl:N",
    ),
    ("pg_user", "usename:n usesysid:o usecreatedb:b usesuper:b"),
    ("pg_views", "schemaname:n viewname:n viewowner:n definition:t"),
];

const INFORMATION: &[(&str, &str)] = &[
    ("schemata", "catalog_name:n schema_name:n schema_owner:n default_character_set_name:N"),
    (
        "tables",
        "table_catalog:n table_schema:n table_name:n table_type:t self_referencing_column_name:N is_insertable_into:t is_typed:t \
         commit_action:N",
    ),
    (
        "columns",
        "table_catalog:n table_schema:n table_name:n column_name:n ordinal_position:i column_default:N is_nullable:t data_type:t \
         character_maximum_length:I character_octet_length:I numeric_precision:I numeric_precision_radix:I numeric_scale:I \
         datetime_precision:I interval_type:N character_set_name:N collation_name:N domain_schema:N domain_name:N udt_catalog:n \
         udt_schema:n udt_name:n is_identity:t identity_generation:N is_generated:t generation_expression:N is_updatable:t",
    ),
    ("views", "table_catalog:n table_schema:n table_name:n view_definition:t is_updatable:t"),
    (
        "table_constraints",
        "constraint_catalog:n constraint_schema:n constraint_name:n table_catalog:n table_schema:n table_name:n \
         constraint_type:t is_deferrable:t initially_deferred:t",
    ),
    (
        "key_column_usage",
        "constraint_catalog:n constraint_schema:n constraint_name:n table_catalog:n table_schema:n table_name:n column_name:n \
         ordinal_position:i position_in_unique_constraint:I",
    ),
    (
        "constraint_column_usage",
        "table_catalog:n table_schema:n table_name:n column_name:n constraint_catalog:n constraint_schema:n constraint_name:n",
    ),
    (
        "referential_constraints",
        "constraint_catalog:n constraint_schema:n constraint_name:n unique_constraint_schema:N unique_constraint_name:N \
         match_option:t update_rule:t delete_rule:t",
    ),
    ("routines", "routine_catalog:n routine_schema:n routine_name:n routine_type:t data_type:t"),
    ("sequences", "sequence_catalog:n sequence_schema:n sequence_name:n data_type:t"),
    ("triggers", "trigger_catalog:n trigger_schema:n trigger_name:n event_object_table:n"),
];

/// The type of a column, and what it is where a row does not say.
fn kind(letter: &str) -> (Type, Datum) {
    match letter {
        "b" => (Type::BOOL, Datum::Bool(false)),
        "c" => (Type::one(PgType::Char), Datum::from("")),
        "f" => (Type::one(PgType::Float4), Datum::Float(0.0)),
        "i" => (Type::one(PgType::Int4), Datum::Int(0)),
        "I" => (Type::one(PgType::Int4), Datum::Null),
        "l" => (Type::one(PgType::Int8), Datum::Int(0)),
        "n" => (Type::one(PgType::Name), Datum::from("")),
        "o" => (Type::one(PgType::Oid), Datum::Int(0)),
        "s" => (Type::one(PgType::Int2), Datum::Int(0)),
        "t" => (Type::TEXT, Datum::from("")),
        "A" => (Type::list(PgType::Text), Datum::Null),
        "O" => (Type::list(PgType::Oid), Datum::Null),
        "S" => (Type::list(PgType::Int2), Datum::Null),
        _ => (Type::TEXT, Datum::Null),
    }
}

fn pairs(columns: &str) -> impl Iterator<Item = (&str, &str)> {
    columns.split_whitespace().filter_map(|pair| pair.split_once(':'))
}

/// The columns of a table of that schema; none where there is no such table.
fn columns(schema: &str, table: &str) -> Option<&'static str> {
    let (_, tables) = SCHEMAS.iter().find(|(known, _)| *known == schema)?;
    tables.iter().find(|(known, _)| *known == table).map(|(_, columns)| *columns)
}

/// Whether there is a table of that name; of `pg_catalog`, if no schema is named.
pub(crate) fn is_known(schema: Option<&str>, table: &str) -> bool {
    columns(schema.unwrap_or("pg_catalog"), table).is_some()
}

/// Schemas and names of tables.
pub(crate) type Wanted = BTreeSet<(String, String)>;

/// Rows of tables, as they are made: of those that a statement names, because there are many rows and most are never asked for.
pub(crate) struct Rows {
    wanted: Wanted,
    rows: BTreeMap<(&'static str, &'static str), Vec<Vec<Datum>>>,
    /// Bytes of all values.
    pub(crate) weight: usize,
}

impl Rows {
    pub(crate) fn new(wanted: Wanted) -> Self {
        Self { wanted, rows: BTreeMap::new(), weight: 0 }
    }

    /// Adds a row, of which some values are told.
    pub(crate) fn add<const N: usize>(
        &mut self,
        schema: &'static str,
        table: &'static str,
        told: [(&'static str, Datum); N],
    ) {
        if !self.wanted.iter().any(|(known, name)| known == schema && name == table) {
            return;
        }
        let mut told = told.to_vec();
        let made = pairs(columns(schema, table).unwrap_or_default()).map(|(name, letter)| {
            let place = told.iter().position(|(known, _)| *known == name);
            place.map_or_else(|| kind(letter).1, |place| told.swap_remove(place).1)
        });
        let made: Vec<Datum> = made.collect();
        debug_assert!(told.is_empty(), "{table}: {told:?}");
        self.weight += made.iter().map(Datum::weight).sum::<usize>();
        self.rows.entry((schema, table)).or_default().push(made);
    }

    /// A table with its rows.
    pub(crate) fn table(&self, schema: &str, table: &str) -> Option<Table<'_>> {
        let names = columns(schema, table)?;
        let columns = pairs(names).map(|(name, letter)| (name.to_owned(), kind(letter).0)).collect();
        let rows = self.rows.iter().find(|((known, name), _)| *known == schema && *name == table);
        Some(Table { columns, rows: rows.map(|(_, rows)| rows.as_slice()).unwrap_or_default() })
    }
}
