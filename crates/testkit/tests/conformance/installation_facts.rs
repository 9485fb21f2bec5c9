//! What the installation was started with last.

use tidegate_kernel::KernelTables;
use tidegate_kernel::tables::installation_facts::PUBLIC_URL as NAME;
use tidegate_testkit::{concurrently, on_both_engines};

use crate::world::{NOW, World};

async fn exchange(world: &World, value: &str) -> Option<String> {
    commit!(world.store, unit => unit.installation_facts().exchange(NAME, value, NOW))
}

on_both_engines! {
    async fn a_change_is_told_once_with_what_was_before(world: World) {
        assert_eq!(read!(world.store, unit => unit.installation_facts().find(NAME)), None);
        assert_eq!(exchange(&world, "https://a.example.com").await, None);
        assert_eq!(exchange(&world, "https://a.example.com").await, None);
        assert_eq!(exchange(&world, "https://b.example.com").await.as_deref(), Some("https://a.example.com"));
        assert_eq!(exchange(&world, "https://b.example.com").await, None);
        assert_eq!(exchange(&world, "https://a.example.com").await.as_deref(), Some("https://b.example.com"));
        let other = commit!(world.store, unit => unit.installation_facts().exchange("another", "x", NOW));
        assert_eq!(other, None);
        let found = read!(world.store, unit => unit.installation_facts().find(NAME));
        assert_eq!(found.as_deref(), Some("https://a.example.com"));
    }

    async fn of_twenty_nodes_that_start_together_one_is_told(world: World) {
        exchange(&world, "https://a.example.com").await;
        let told = concurrently(20, |_| {
            let store = world.store.clone();
            async move {
                commit!(store, unit => unit.installation_facts().exchange(NAME, "https://b.example.com", NOW))
            }
        })
        .await;
        assert_eq!(told.into_iter().flatten().collect::<Vec<_>>(), ["https://a.example.com"]);
    }
}
