//! Whose the tables are, where the user of the address may not read them.

use sqlx::PgConnection;

use crate::error::{Refusal, StoreError};

/// A right that the user lacks (SQLSTATE `insufficient_privilege`).
const DENIED: &str = "42501";

/// Names as SQL writes them, and whether the owner is a superuser.
type Owner = (String, String, bool);

/// The error; where it is that another role has the tables, which one, and how this one gets at them.
pub(super) async fn explained(on: &mut PgConnection, error: sqlx::Error) -> StoreError {
    let code = error.as_database_error().and_then(|cause| cause.code());
    if code.is_none_or(|code| code != DENIED) {
        return error.into();
    }
    match other_owner(on).await {
        Ok(Some(owner)) => refusal(&owner).into(),
        _ => error.into(),
    }
}

async fn other_owner(on: &mut PgConnection) -> sqlx::Result<Option<Owner>> {
    sqlx::query_as(
        "select quote_ident(r.rolname), quote_ident(current_user), r.rolsuper
         from pg_class c join pg_roles r on r.oid = c.relowner
         where c.oid = to_regclass('_sqlx_migrations') and r.rolname <> current_user",
    )
    .fetch_optional(on)
    .await
}

fn refusal((owner, user, is_superuser): &Owner) -> Refusal {
    // What a superuser owns cannot be handed over together: the server's own tables are among it.
    let hand_over = if *is_superuser {
        format!("hand over each table of Tidegate: `alter table NAME owner to {user}`")
    } else {
        format!(
            "hand over what {owner} owns, as a superuser, in this database: `reassign owned by {owner} to {user}`"
        )
    };
    Refusal::new(
        "database_permission",
        format!("the tables of Tidegate belong to {owner}, and {user} may not read them"),
        format!("give the user {owner} in the database's address, or {hand_over}"),
    )
}
