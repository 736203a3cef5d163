//! Random histories of entry operations against a naive model: same answers, same content, same feed.

use super::{open, spec};
use finial_datastore::SqliteStore;
use finial_identity::{Code, EntryDraft, EntryId, EntrySpec, RegistrationEntry, UnixTime};
use finial_plugin::datastore::{Admission, EntryStore, StoreResult};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

#[derive(Debug, Clone)]
enum Step {
    Create(Vec<(Option<u8>, EntrySpec)>),
    Update(u8, EntrySpec),
    Delete(u8),
    Prune(u64, u32),
    Get(u8),
    Page(usize, u32),
    Reopen,
}

fn name(number: u8) -> EntryId {
    EntryId::parse(format!("e{number}")).unwrap()
}

fn specs() -> impl Strategy<Value = EntrySpec> {
    let selectors = proptest::sample::subsequence(vec!["u:1", "u:2", "k:3"], 0..=3).prop_shuffle();
    let dns_names = proptest::sample::subsequence(vec!["b.test", "a.test"], 0..=2).prop_shuffle();
    (0..3_u8, 0..2_u8, selectors, dns_names, proptest::option::of(0..20_i64), any::<bool>()).prop_map(
        |(path, parent, selectors, dns_names, end, flag)| EntrySpec {
            dns_names: dns_names.into_iter().map(str::to_owned).collect(),
            expires_at: end.map(UnixTime::from_seconds),
            admin: flag,
            store_svid: !flag,
            ..spec(
                &format!("spiffe://example.org/w{path}"),
                &format!("spiffe://example.org/p{parent}"),
                &selectors,
            )
        },
    )
}

fn steps() -> impl Strategy<Value = Step> {
    let draft = || (proptest::option::of(0..6_u8), specs());
    prop_oneof![
        4 => proptest::collection::vec(draft(), 1..4).prop_map(Step::Create),
        2 => (0..6_u8, specs()).prop_map(|(id, spec)| Step::Update(id, spec)),
        2 => (0..6_u8).prop_map(Step::Delete),
        1 => (0..20_u64, 0..4_u32).prop_map(|(now, limit)| Step::Prune(now, limit)),
        1 => (0..6_u8).prop_map(Step::Get),
        2 => (0..8_usize, 1..5_u32).prop_map(|(after, limit)| Step::Page(after, limit)),
        1 => Just(Step::Reopen),
    ]
}

/// Entries in row order and everything that was told of them.
#[derive(Default)]
struct Model {
    entries: Vec<RegistrationEntry>,
    feed: Vec<EntryId>,
}

impl Model {
    fn at(&self, id: &EntryId) -> Option<usize> {
        self.entries.iter().position(|entry| entry.id == *id)
    }

    fn refusal(spec: &EntrySpec) -> Option<Code> {
        let kinds: BTreeSet<_> = spec.selectors.iter().map(|selector| &selector.kind).collect();
        (kinds.is_empty() || (spec.store_svid && kinds.len() > 1)).then_some(Code::InvalidArgument)
    }

    fn similar(&self, spec: &EntrySpec) -> Option<&RegistrationEntry> {
        let set = |spec: &EntrySpec| spec.selectors.iter().cloned().collect::<BTreeSet<_>>();
        self.entries.iter().find(|entry| {
            entry.spec.spiffe_id == spec.spiffe_id
                && entry.spec.parent_id == spec.parent_id
                && set(&entry.spec) == set(spec)
        })
    }

    /// Follows one verdict of the store and checks it.
    fn follow_create(&mut self, id: Option<&EntryId>, spec: &EntrySpec, verdict: StoreResult<Admission>) {
        let taken = id.is_some_and(|id| self.at(id).is_some());
        match (Self::refusal(spec), self.similar(spec), taken, verdict) {
            (Some(code), _, _, Err(error)) => assert_eq!(error.code, code),
            (None, Some(entry), _, Ok(Admission::Similar(row))) => assert_eq!(row.value, *entry),
            (None, None, true, Err(error)) => assert_eq!(error.code, Code::AlreadyExists),
            (None, None, false, Ok(Admission::Created(row))) => {
                assert!(id.is_none_or(|id| *id == row.value.id));
                let mut expected = spec.clone();
                expected.expires_at = expected.expires_at.filter(|end| end.seconds() != 0);
                assert_eq!((row.value.revision, &row.value.spec), (0, &expected));
                self.feed.push(row.value.id.clone());
                self.entries.push(row.value);
            }
            (refusal, similar, taken, verdict) => {
                panic!("{verdict:?} where the model has {refusal:?} {similar:?} taken: {taken}")
            }
        }
    }

    fn follow_update(&mut self, id: &EntryId, spec: &EntrySpec) -> Result<RegistrationEntry, Code> {
        if let Some(code) = Self::refusal(spec) {
            return Err(code);
        }
        let at = self.at(id).ok_or(Code::NotFound)?;
        let entry = &mut self.entries[at];
        entry.revision += 1;
        entry.spec = spec.clone();
        entry.spec.expires_at = entry.spec.expires_at.filter(|end| end.seconds() != 0);
        self.feed.push(id.clone());
        Ok(entry.clone())
    }

    fn follow_delete(&mut self, id: &EntryId) -> Result<RegistrationEntry, Code> {
        let at = self.at(id).ok_or(Code::NotFound)?;
        self.feed.push(id.clone());
        Ok(self.entries.remove(at))
    }
}

async fn play(mut store: SqliteStore, path: &std::path::Path, steps: Vec<Step>) {
    let mut model = Model::default();
    let clock = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    for step in steps {
        match step {
            Step::Create(drafts) => {
                let drafts: Vec<_> =
                    drafts.into_iter().map(|(id, spec)| EntryDraft { id: id.map(name), spec }).collect();
                let verdicts = match &drafts[..] {
                    [single] => vec![store.entry_create_or_get(single.clone(), clock(0)).await],
                    many => store.entry_create_batch(many.to_vec(), clock(0)).await.unwrap(),
                };
                for (draft, verdict) in drafts.iter().zip(verdicts) {
                    model.follow_create(draft.id.as_ref(), &draft.spec, verdict);
                }
            }
            Step::Update(id, spec) => {
                let answer = store.entry_update(&name(id), spec.clone(), clock(1)).await;
                let answer = answer.map(|row| row.value).map_err(|error| error.code);
                assert_eq!(answer, model.follow_update(&name(id), &spec));
            }
            Step::Delete(id) => {
                let answer = store.entry_delete(&name(id), clock(1)).await.map_err(|error| error.code);
                assert_eq!(answer, model.follow_delete(&name(id)));
            }
            Step::Prune(now, limit) => {
                let ended = |entry: &RegistrationEntry| {
                    entry.spec.expires_at.is_some_and(|end| end.seconds() < i64::try_from(now).unwrap())
                };
                let due = model.entries.iter().filter(|entry| ended(entry)).count();
                let pruned = store.entry_prune(clock(now), limit).await.unwrap();
                assert_eq!(pruned.len(), due.min(limit as usize));
                for entry in pruned {
                    assert!(ended(&entry));
                    assert_eq!(model.follow_delete(&entry.id), Ok(entry));
                }
            }
            Step::Get(id) => {
                let found = store.entry_get(&name(id)).await.unwrap().map(|row| row.value);
                assert_eq!(found.as_ref(), model.at(&name(id)).map(|at| &model.entries[at]));
            }
            Step::Page(skip, limit) => {
                let all = store.entry_page(0, 1000).await.unwrap();
                let after =
                    skip.checked_sub(1).map_or(0, |at| all.get(at).map_or(i64::MAX, |row| row.row_id));
                let page = store.entry_page(after, limit).await.unwrap();
                let expected: Vec<_> = model.entries.iter().skip(skip).take(limit as usize).collect();
                assert_eq!(page.iter().map(|row| &row.value).collect::<Vec<_>>(), expected);
            }
            Step::Reopen => {
                drop(store);
                store = open(path);
            }
        }
    }
    let all: Vec<_> = store.entry_page(0, 1000).await.unwrap().into_iter().map(|row| row.value).collect();
    assert_eq!(all, model.entries);
    let feed: Vec<_> =
        store.entry_events(0, 10_000).await.unwrap().into_iter().map(|event| event.subject).collect();
    assert_eq!(feed, model.feed);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn like_the_model(steps in proptest::collection::vec(steps(), 1..40)) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(play(open(&path), &path, steps));
    }
}
