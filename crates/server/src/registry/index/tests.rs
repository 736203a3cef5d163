//! The index against a naive model over random histories.

use super::*;
use finial_identity::{AgentSerial, EntrySpec};
use proptest::prelude::*;

fn trust_domain() -> TrustDomain {
    TrustDomain::parse("example.org").unwrap()
}

fn id(path: &str) -> SpiffeId {
    SpiffeId::from_path(&trust_domain(), path).unwrap()
}

fn selector(n: u8) -> Selector {
    Selector::new("t", format!("v{n}")).unwrap()
}

#[derive(Debug, Clone)]
enum Step {
    Put { entry: u8, parent: u8, identity: u8, selectors: Vec<u8> },
    Remove { entry: u8 },
    Attest { agent: u8, selectors: Vec<u8>, serial: Option<u8> },
    Evict { agent: u8 },
}

fn step() -> impl Strategy<Value = Step> {
    let selectors = || prop::collection::vec(0..5u8, 1..4);
    prop_oneof![
        4 => (0..20u8, 0..10u8, 0..8u8, selectors()).prop_map(|(entry, parent, identity, selectors)|
            Step::Put { entry, parent, identity, selectors }),
        1 => (0..20u8).prop_map(|entry| Step::Remove { entry }),
        2 => (0..3u8, selectors(), prop::option::of(0..9u8)).prop_map(|(agent, selectors, serial)|
            Step::Attest { agent, selectors, serial }),
        1 => (0..3u8).prop_map(|agent| Step::Evict { agent }),
    ]
}

fn agent_id(n: u8) -> SpiffeId {
    id(&format!("/spire/agent/x/{n}"))
}

/// 0 is the server, 1 to 3 are agents, the rest are identities of other entries.
fn parent_id(n: u8) -> SpiffeId {
    match n {
        0 => trust_domain().server_id(),
        1..=3 => agent_id(n - 1),
        _ => id(&format!("/w{}", n - 4)),
    }
}

fn entry_row(entry: u8, parent: u8, identity: u8, selectors: &[u8]) -> Row<RegistrationEntry> {
    let spec = EntrySpec {
        spiffe_id: id(&format!("/w{identity}")),
        parent_id: parent_id(parent),
        selectors: selectors.iter().copied().map(selector).collect(),
        x509_svid_ttl: 0,
        jwt_svid_ttl: 0,
        federates_with: vec![],
        admin: false,
        downstream: false,
        expires_at: None,
        dns_names: vec![],
        store_svid: false,
        hint: String::new(),
        additional: None,
    };
    let value = RegistrationEntry {
        id: EntryId::parse(format!("e{entry}")).unwrap(),
        revision: 0,
        created_at: UnixTime::default(),
        spec,
    };
    Row { row_id: i64::from(entry), value }
}

/// What an agent may have, by asking every entry again and again until nothing new turns up.
fn naive(
    entries: &[RegistrationEntry],
    nodes: &[AttestedNode],
    agent: &SpiffeId,
    now: UnixTime,
) -> Vec<EntryId> {
    let server = trust_domain().server_id();
    let node = nodes.iter().find(|node| node.id == *agent);
    let usable = node.filter(|node| !node.is_banned() && node.current.expires_at >= now);
    let mut reached = vec![agent.clone()];
    for alias in entries.iter().filter(|entry| entry.spec.parent_id == server) {
        if usable.is_some_and(|node| alias.spec.selectors.iter().all(|s| node.selectors.contains(s))) {
            reached.push(alias.spec.spiffe_id.clone());
        }
    }
    let mut found: Vec<EntryId> = Vec::new();
    loop {
        let before = found.len();
        for entry in entries.iter().filter(|entry| entry.spec.parent_id != server) {
            if reached.contains(&entry.spec.parent_id) && !found.contains(&entry.id) {
                found.push(entry.id.clone());
                reached.push(entry.spec.spiffe_id.clone());
            }
        }
        if found.len() == before {
            found.sort();
            return found;
        }
    }
}

proptest! {
    #[test]
    fn agrees_with_the_naive_model(steps in prop::collection::vec(step(), 1..60)) {
        let now = UnixTime::from_seconds(5);
        let mut index = Index::new(&trust_domain());
        let mut entries: Vec<RegistrationEntry> = vec![];
        let mut nodes: Vec<AttestedNode> = vec![];
        for step in steps {
            match step {
                Step::Put { entry, parent, identity, selectors } => {
                    let row = entry_row(entry, parent, identity, &selectors);
                    entries.retain(|known| known.id != row.value.id);
                    entries.push(row.value.clone());
                    index.put_entry(row);
                }
                Step::Remove { entry } => {
                    let id = EntryId::parse(format!("e{entry}")).unwrap();
                    entries.retain(|known| known.id != id);
                    index.remove_entry(&id);
                }
                Step::Attest { agent, selectors, serial } => {
                    let node = AttestedNode {
                        id: agent_id(agent),
                        attestation_type: "x".into(),
                        // A serial of its own doubles as the end, so that some have expired at `now`.
                        current: AgentSerial {
                            serial: serial.map(|n| n.to_string()).unwrap_or_default(),
                            expires_at: UnixTime::from_seconds(serial.unwrap_or(9).into()),
                        },
                        staged: None,
                        can_reattest: false,
                        agent_version: String::new(),
                        selectors: selectors.into_iter().map(selector).collect(),
                    };
                    nodes.retain(|known| known.id != node.id);
                    nodes.push(node.clone());
                    index.put_node(Row { row_id: agent.into(), value: node });
                }
                Step::Evict { agent } => {
                    nodes.retain(|known| known.id != agent_id(agent));
                    index.remove_node(&agent_id(agent));
                }
            }
            for agent in 0..3 {
                let got = index.authorized(&agent_id(agent), now);
                let got: Vec<EntryId> = got.as_slice().iter().map(|entry| entry.value.id.clone()).collect();
                prop_assert_eq!(got, naive(&entries, &nodes, &agent_id(agent), now));
            }
            prop_assert_eq!(index.count_entries(&EntryFilter::default()), entries.len());
            prop_assert_eq!(index.count_nodes(&NodeFilter::default()), nodes.len());
        }
    }
}
