//! Files that people uploaded.

use tidegate_storage::StorageTables;
use tidegate_testkit::on_both_engines;
use uuid::Uuid;

use crate::world::{NOW, World};

/// Those that are there, in the order of their names.
const ALL: [&str; 4] = ["fifth", "first", "fourth", "third"];

/// A file that was stored, past the use case.
async fn stored(world: &World, name: &str) {
    let owner = world.member(&format!("{name}@example.com")).await;
    let (id, organization) =
        (world.database.sql_uuid(world.key::<Uuid>()), world.database.sql_uuid(owner.organization));
    let (account, now) = (world.database.sql_uuid(owner.account), NOW.micros());
    let statement = format!(
        "insert into storage_files (id, organization_id, account_id, object_name, folder, file_name, unique_name, category, content_type,
             size_bytes, etag, state, created_at, changed_at, reserved_until)
         values ({id}, {organization}, {account}, '{name}', '', '{name}', '{name}', 'general', 'text/csv', 3, '', 'stored', {now}, {now}, 0)"
    );
    assert_eq!(world.database.sql(&statement).await, 1);
}

on_both_engines! {
    async fn of_many_files_the_oldest_and_the_newest_are_looked_for(world: World) {
        for name in ["first", "second", "third", "fourth", "fifth"] {
            stored(&world, name).await;
        }
        world.database.sql("update storage_files set state = 'removed' where object_name = 'second'").await;
        for (of_each_end, expected) in
            [(1, &["fifth", "first"][..]), (2, &ALL[..]), (9, &ALL[..])]
        {
            let tracked = read!(world.store, unit => unit.files().tracked(of_each_end));
            assert!(tracked.iter().all(|(_, size)| *size == 3), "{tracked:?}");
            let mut found: Vec<String> = tracked.into_iter().map(|(key, _)| key).collect();
            found.sort();
            assert_eq!(found, expected, "{of_each_end}");
        }
    }

    async fn of_some_keys_those_with_a_stored_file_are_found_whatever_their_number(world: World) {
        for name in ALL {
            stored(&world, name).await;
        }
        world.database.sql("update storage_files set state = 'removed' where object_name = 'third'").await;
        let others: Vec<String> = (0..1_500).map(|number| format!("other{number}")).collect();
        for count in [0, 1, 2, 3, 17, 1_500] {
            let mut asked = vec!["fourth", "third", "first"];
            asked.extend(others.iter().take(count).map(String::as_str));
            // The last of a list, too, and once although it is asked for twice.
            asked.extend(["first", "fifth"]);
            let files = read!(world.store, unit => unit.files().stored_among(&asked));
            let mut found: Vec<String> = files.into_iter().map(|file| file.object_name).collect();
            found.sort();
            found.dedup();
            assert_eq!(found, ["fifth", "first", "fourth"], "{count}");
        }
        for asked in [Vec::new(), vec!["third"], vec!["none", "First"]] {
            let files = read!(world.store, unit => unit.files().stored_among(&asked));
            assert!(files.is_empty(), "{asked:?}");
        }
    }
}
