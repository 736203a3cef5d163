//! `NodeStore`, and the change feeds' end.

use super::{draft, id, later, now, refused, selectors};
use crate::datastore::{DataStore, NodeChange, PruneScope};
use finial_identity::{AgentSerial, AttestedNode, Code, EntryDraft, SpiffeId, UnixTime};

fn serial(number: &str, expires_at: i64) -> AgentSerial {
    AgentSerial { serial: number.to_owned(), expires_at: UnixTime::from_seconds(expires_at) }
}

fn node(name: &str, kind: &str) -> AttestedNode {
    AttestedNode {
        id: id(&format!("/spire/agent/{kind}/{name}")),
        attestation_type: kind.to_owned(),
        current: serial("170141183460469231731687303715884105727", 1_800_003_600),
        staged: None,
        can_reattest: true,
        agent_version: String::new(),
        selectors: selectors(&["x509pop:cn:b", "x509pop:cn:a"]),
    }
}

async fn changed_after(store: &dyn DataStore, after: i64) -> Vec<SpiffeId> {
    let events = store.node_events(after, 1000).await.expect("node events");
    assert!(events.is_sorted_by(|one, next| one.event_id < next.event_id), "events come in order");
    events.into_iter().map(|event| event.subject).collect()
}

/// A node is written with its selectors; attested again it is replaced and a staged SVID is forgotten.
pub async fn node_attestation(store: &dyn DataStore) {
    assert_eq!(store.node_event_newest().await.expect("newest"), 0);
    let first = node("one", "x509pop");
    let row = store.node_attested(first.clone(), now()).await.expect("attested");
    assert_eq!(row.value, first);
    assert_eq!(store.node_get(&first.id).await.expect("get"), Some(row.clone()));
    assert_eq!(store.node_get(&id("/spire/agent/nobody")).await.expect("get"), None);
    assert_eq!(changed_after(store, 0).await, vec![first.id.clone()]);

    store.node_change(&first.id, NodeChange::Version("1.2.3".into()), now()).await.expect("version");
    store.node_change(&first.id, NodeChange::Stage(serial("5", 9)), now()).await.expect("stage");
    let again = AttestedNode {
        current: serial("7", 1_800_007_200),
        can_reattest: false,
        selectors: selectors(&["x509pop:cn:c", "x509pop:cn:c"]),
        ..first.clone()
    };
    let replaced = store.node_attested(again.clone(), later(5)).await.expect("attested");
    let expected = AttestedNode {
        agent_version: "1.2.3".into(),
        selectors: selectors(&["x509pop:cn:c"]),
        staged: None,
        ..again
    };
    assert_eq!(
        (replaced.row_id, replaced.value),
        (row.row_id, expected),
        "the version is kept if none is given"
    );
    let newer = AttestedNode { agent_version: "2.0.0".into(), selectors: Vec::new(), ..first };
    assert_eq!(store.node_attested(newer.clone(), later(6)).await.expect("attested").value, newer);

    // Pages, with selectors.
    let more = [node("two", "x509pop"), node("three", "x509pop")];
    for node in &more {
        store.node_attested(node.clone(), now()).await.expect("attested");
    }
    let page = store.node_page(row.row_id, 10).await.expect("page");
    assert_eq!(page.iter().map(|row| &row.value).collect::<Vec<_>>(), more.iter().collect::<Vec<_>>());
    assert_eq!(store.node_page(0, 2).await.expect("page").len(), 2);
    assert_eq!(store.node_events(1, 2).await.expect("events").len(), 2);
}

/// Staging, promoting, banning.
pub async fn node_changes(store: &dyn DataStore) {
    let node = node("one", "x509pop");
    store.node_attested(node.clone(), now()).await.expect("attested");
    let newest = store.node_event_newest().await.expect("newest");
    let change = |change| store.node_change(&node.id, change, later(1));

    let staged = change(NodeChange::Stage(serial("22", 1_800_010_000))).await.expect("stage").value;
    assert_eq!(staged, AttestedNode { staged: Some(serial("22", 1_800_010_000)), ..node.clone() });
    let promoted = change(NodeChange::PromoteStaged).await.expect("promote").value;
    let expected = AttestedNode { current: serial("22", 1_800_010_000), ..node.clone() };
    assert_eq!(promoted, expected);
    let again = change(NodeChange::PromoteStaged).await.expect("promote").value;
    assert_eq!(again, expected, "nothing staged, nothing changed");
    change(NodeChange::Version("1.2.3".into())).await.expect("version");
    change(NodeChange::Stage(serial("33", 1))).await.expect("stage");
    let banned = change(NodeChange::Ban).await.expect("ban").value;
    assert!(banned.is_banned());
    assert_eq!((banned.staged.clone(), banned.agent_version.as_str()), (None, "1.2.3"));
    assert_eq!(banned.selectors, node.selectors);
    let again = change(NodeChange::PromoteStaged).await.expect("promote").value;
    assert!(again.is_banned(), "a ban leaves nothing to promote");
    assert_eq!(changed_after(store, newest).await, vec![node.id.clone(); 5], "one event for each change");

    let nobody = id("/spire/agent/nobody");
    for change in [NodeChange::Ban, NodeChange::PromoteStaged, NodeChange::Stage(serial("1", 1))] {
        refused(store.node_change(&nobody, change, now()).await, Code::NotFound);
    }
}

/// A node goes with its selectors and the alias of its join token, and with nothing else.
pub async fn node_deletion(store: &dyn DataStore) {
    for kind in ["join_token", "x509pop"] {
        let agent = node("one", kind);
        store.node_attested(agent.clone(), now()).await.expect("attested");
        let own = format!("spiffe_id:{}", agent.id);
        let under = |path: &str, texts: &[&str]| {
            let mut draft = draft(&format!("/{kind}{path}"), texts);
            draft.spec.parent_id = agent.id.clone();
            draft
        };
        let admit = async |draft: EntryDraft| {
            store.entry_create_or_get(draft, now()).await.expect("create");
        };
        admit(under("/alias", &[own.as_str()])).await;
        admit(under("/workload", &["unix:uid:1"])).await;
        admit(under("/both", &[own.as_str(), "unix:uid:1"])).await;
        let entries_before = store.entry_event_newest().await.expect("newest");
        let nodes_before = store.node_event_newest().await.expect("newest");

        let (gone, entries) = store.node_delete(&agent.id, later(1)).await.expect("delete");
        assert_eq!(gone, agent);
        assert_eq!(entries.len(), usize::from(kind == "join_token"), "only a join token has an alias");
        for entry in &entries {
            assert_eq!(store.entry_get(entry).await.expect("get"), None);
        }
        assert_eq!(store.node_get(&agent.id).await.expect("get"), None);
        assert_eq!(changed_after(store, nodes_before).await, vec![agent.id.clone()]);
        let told = store.entry_events(entries_before, 9).await.expect("events");
        assert_eq!(told.into_iter().map(|event| event.subject).collect::<Vec<_>>(), entries);
        refused(store.node_delete(&agent.id, later(1)).await, Code::NotFound);

        // No selectors of the old node come back with a new one.
        let bare = AttestedNode { selectors: Vec::new(), ..agent };
        assert_eq!(store.node_attested(bare.clone(), later(2)).await.expect("attested").value, bare);
    }
    assert_eq!(store.entry_page(0, 9).await.expect("page").len(), 5);
}

/// Only nodes that expired go, never banned ones, and those that trusted on first use only if asked.
pub async fn node_pruning(store: &dyn DataStore) {
    let bound = UnixTime::from_seconds(1_800_000_000);
    let at = |name: &str, expires_at: i64, can_reattest: bool| AttestedNode {
        current: serial("1", expires_at),
        can_reattest,
        ..node(name, "x509pop")
    };
    let nodes = [
        at("long-ago", 5, true),
        at("just", bound.seconds() - 1, true),
        at("now", bound.seconds(), true),
        at("later", bound.seconds() + 1, true),
        at("tofu", bound.seconds() - 1, false),
        at("banned", bound.seconds() - 1, true),
    ];
    for node in &nodes {
        store.node_attested(node.clone(), now()).await.expect("attested");
    }
    store.node_change(&nodes[5].id, NodeChange::Ban, now()).await.expect("ban");
    let newest = store.node_event_newest().await.expect("newest");

    let mut pruned = store.node_prune(bound, PruneScope::Reattestable, 1, later(1)).await.expect("prune");
    assert_eq!(pruned.len(), 1, "at most the limit");
    pruned.extend(store.node_prune(bound, PruneScope::Reattestable, 9, later(1)).await.expect("prune"));
    pruned.sort();
    assert_eq!(pruned, [nodes[1].id.clone(), nodes[0].id.clone()]);
    let all = store.node_prune(bound, PruneScope::All, 9, later(1)).await.expect("prune");
    assert_eq!(all, [nodes[4].id.clone()]);
    pruned.extend(all);
    let mut told = changed_after(store, newest).await;
    told.sort();
    pruned.sort();
    assert_eq!(told, pruned);
    let left = store.node_page(0, 9).await.expect("page");
    let left: Vec<_> = left.into_iter().map(|row| row.value.id).collect();
    assert_eq!(left, [nodes[2].id.clone(), nodes[3].id.clone(), nodes[5].id.clone()]);
}

/// Old events go, at most so many of each feed; numbers are never used again.
pub async fn event_pruning(store: &dyn DataStore) {
    for number in 0..4 {
        let wish = draft(&format!("/w{number}"), &["unix:uid:1"]);
        store.entry_create_or_get(wish, later(number)).await.expect("create");
        store.node_attested(node(&format!("n{number}"), "x509pop"), later(number)).await.expect("attested");
    }
    let newest =
        (store.entry_event_newest().await.expect("newest"), store.node_event_newest().await.expect("newest"));
    assert_eq!(store.events_prune(now(), 10).await.expect("prune"), 0, "not older");
    assert_eq!(store.events_prune(later(3), 2).await.expect("prune"), 4, "two of each");
    assert_eq!(store.events_prune(later(3), 10).await.expect("prune"), 2);
    assert_eq!(store.entry_events(0, 10).await.expect("events").len(), 1);
    assert_eq!(changed_after(store, 0).await, [node("n3", "x509pop").id]);
    assert_eq!(store.events_prune(later(100), 10).await.expect("prune"), 2);
    assert!(store.entry_events(0, 10).await.expect("events").is_empty());

    store.entry_create_or_get(draft("/last", &["unix:uid:1"]), later(9)).await.expect("create");
    store.node_attested(node("last", "x509pop"), later(9)).await.expect("attested");
    assert!(store.entry_event_newest().await.expect("newest") > newest.0);
    assert!(store.node_event_newest().await.expect("newest") > newest.1);
}
