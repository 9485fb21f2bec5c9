//! What holds the number of connections to PostgreSQL, and how it is raised.

use crate::engine::StoreOptions;

/// Of whom a limit is, by a name as SQL writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit<'n> {
    /// Of the server.
    Server,
    /// Of a role.
    Role(&'n str),
    /// Of a database.
    Database(&'n str),
}

impl<'n> Limit<'n> {
    /// The limit that a refusal with the code 53300 is about, by where in the server it arose: its code is the same for all of them.
    pub(crate) fn met(routine: &str, role: &'n str, database: &'n str) -> Self {
        match routine {
            "InitializeSessionUserId" => Self::Role(role),
            "CheckMyDatabase" => Self::Database(database),
            _ => Self::Server,
        }
    }

    /// How it is raised.
    pub(crate) fn raise(self) -> String {
        match self {
            Self::Server => "raise max_connections of the server".to_owned(),
            Self::Role(name) => {
                format!("raise its limit with `alter role {name} connection limit N` (-1 is none)")
            }
            Self::Database(name) => {
                format!("raise its limit with `alter database {name} connection limit N` (-1 is none)")
            }
        }
    }

    /// What to do where it is met.
    pub(crate) fn advice(self) -> String {
        format!("{}, or lower database_connections; {}", self.raise(), fewest())
    }
}

/// How low a limit may be, for one node and a command beside it.
pub(crate) fn fewest() -> String {
    let node = StoreOptions::FEWEST_ON_POSTGRES;
    let needed = node + StoreOptions::BESIDE_ON_POSTGRES;
    format!("{needed} are the fewest: a node has {node}, whatever database_connections is")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_is_told_with_what_raises_it_and_how_low_it_may_be() {
        for (routine, raise) in [
            ("InitializeSessionUserId", "`alter role ada connection limit N`"),
            ("CheckMyDatabase", "`alter database shop connection limit N`"),
            ("InitProcess", "raise max_connections of the server"),
        ] {
            let advice = Limit::met(routine, "ada", "shop").advice();
            assert!(advice.contains(raise), "{routine}: {advice}");
            assert!(advice.ends_with("or lower database_connections; 8 are the fewest: a node has 4, whatever database_connections is"), "{advice}");
        }
    }
}
