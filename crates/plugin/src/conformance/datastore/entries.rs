//! `EntryStore`.

use super::{draft, entry_id, id, later, now, refused, selectors, spec, trust_domain};
use crate::datastore::{Admission, BundleChange, DataStore, Row};
use finial_identity::{
    AdditionalAttributes, Bundle, Code, EntryDraft, EntrySpec, RegistrationEntry, UnixTime,
};

#[track_caller]
fn created(admission: Admission) -> Row<RegistrationEntry> {
    assert!(matches!(admission, Admission::Created(_)), "expected a new entry, not {admission:?}");
    either(admission)
}

#[track_caller]
fn similar(admission: Admission) -> Row<RegistrationEntry> {
    assert!(matches!(admission, Admission::Similar(_)), "expected a similar entry, not {admission:?}");
    either(admission)
}

fn either(admission: Admission) -> Row<RegistrationEntry> {
    match admission {
        Admission::Created(row) | Admission::Similar(row) => row,
    }
}

/// IDs of the entries named by all events after one.
async fn changed_after(store: &dyn DataStore, after: i64) -> Vec<String> {
    let events = store.entry_events(after, 1000).await.expect("entry events");
    assert!(events.is_sorted_by(|one, next| one.event_id < next.event_id), "events come in order");
    assert!(events.iter().all(|event| event.event_id > after), "only later events");
    events.iter().map(|event| event.subject.to_string()).collect()
}

/// Everything an entry can have.
fn full_spec() -> EntrySpec {
    EntrySpec {
        x509_svid_ttl: 3600,
        jwt_svid_ttl: 300,
        admin: true,
        downstream: true,
        expires_at: Some(UnixTime::from_seconds(1_900_000_000)),
        dns_names: vec!["b.example.org".into(), "a.example.org".into()],
        hint: "first ☂".into(),
        additional: Some(AdditionalAttributes {
            disable_x509_svid_prefetch: true,
            jwt_svid_include_jti: true,
        }),
        ..spec("/full", &["unix:uid:1000", "unix:gid:1000"])
    }
}

/// A draft is written whole and once; a similar one finds it.
pub async fn entry_admission(store: &dyn DataStore) {
    assert_eq!(store.entry_event_newest().await.expect("newest"), 0);
    let wish = EntryDraft { id: Some(entry_id("e-full")), spec: full_spec() };
    let entry = created(store.entry_create_or_get(wish.clone(), now()).await.expect("create"));
    assert_eq!(entry.value.id, entry_id("e-full"));
    assert_eq!(entry.value.revision, 0);
    assert_eq!(entry.value.created_at, UnixTime::from_seconds(1_800_000_000), "rounded to the second");
    assert_eq!(entry.value.spec, full_spec());
    assert_eq!(store.entry_get(&entry.value.id).await.expect("get"), Some(entry.clone()));
    assert_eq!(store.entry_get(&entry_id("nobody")).await.expect("get"), None);

    // Rounding goes to the nearest second.
    let half = now() + std::time::Duration::from_millis(100);
    let rounded =
        created(store.entry_create_or_get(draft("/half", &["unix:uid:1"]), half).await.expect("create"));
    assert_eq!(rounded.value.created_at, UnixTime::from_seconds(1_800_000_001));

    // The same set of selectors in another order, and nothing else in common but both IDs.
    let mut same = draft("/full", &["unix:gid:1000", "unix:uid:1000"]);
    assert_eq!(similar(store.entry_create_or_get(same.clone(), later(9)).await.expect("similar")), entry);
    same.id = Some(entry_id("another"));
    assert_eq!(similar(store.entry_create_or_get(same, later(9)).await.expect("similar")), entry);

    // A subset, a superset, another parent and another SPIFFE ID are other entries.
    let fewer = draft("/full", &["unix:uid:1000"]);
    let more = draft("/full", &["unix:uid:1000", "unix:gid:1000", "unix:user:x"]);
    let mut elsewhere = draft("/full", &["unix:uid:1000", "unix:gid:1000"]);
    elsewhere.spec.parent_id = id("/spire/agent/test/other");
    let other = draft("/other", &["unix:uid:1000", "unix:gid:1000"]);
    let mut made = vec![entry.value.id.to_string(), rounded.value.id.to_string()];
    for draft in [fewer, more, elsewhere, other] {
        let row = created(store.entry_create_or_get(draft, now()).await.expect("create"));
        assert!(row.row_id > entry.row_id, "rows are numbered upwards");
        assert!(row.value.id.as_str().len() >= 32, "a random ID");
        made.push(row.value.id.to_string());
    }
    assert_eq!(changed_after(store, 0).await, made, "one event for each new entry, none for similar ones");
    let newest = store.entry_event_newest().await.expect("newest");
    assert_eq!(changed_after(store, newest).await, Vec::<String>::new());
    assert_eq!(changed_after(store, newest - 1).await, made[made.len() - 1..]);
    let limited = store.entry_events(0, 2).await.expect("events");
    assert_eq!(limited.len(), 2);

    // Defaults are absent.
    let mut defaults = draft("/defaults", &["unix:uid:1"]);
    defaults.spec.expires_at = Some(UnixTime::from_seconds(0));
    defaults.spec.additional = Some(AdditionalAttributes::default());
    let row = created(store.entry_create_or_get(defaults, now()).await.expect("create"));
    assert_eq!((row.value.spec.expires_at, row.value.spec.additional), (None, None));
    assert_eq!(store.entry_get(&row.value.id).await.expect("get"), Some(row));
}

/// Similar entries are found in a crowd: under one parent, with one SPIFFE ID, with both.
pub async fn entry_crowds(store: &dyn DataStore) {
    let crowd = 0..80;
    let one_parent = crowd.clone().map(|number| draft(&format!("/w{number}"), &["unix:uid:1"]));
    let one_id = crowd.clone().map(|number| {
        let mut draft = draft("/everywhere", &["unix:uid:1"]);
        draft.spec.parent_id = id(&format!("/spire/agent/test/{number}"));
        draft
    });
    let one_place = crowd.map(|number| draft("/everywhere", &["unix:gid:1", &format!("unix:uid:{number}")]));
    let drafts: Vec<_> = one_parent.chain(one_id).chain(one_place).collect();
    let admit = async || {
        let verdicts = store.entry_create_batch(drafts.clone(), now()).await.expect("batch");
        verdicts.into_iter().map(|verdict| verdict.expect("admission")).collect::<Vec<_>>()
    };
    let new: Vec<_> = admit().await.into_iter().map(created).collect();
    let found: Vec<_> = admit().await.into_iter().map(similar).collect();
    assert_eq!(found, new);
}

/// What is refused, with SPIRE's texts, and that nothing is left of it.
pub async fn entry_refusals(store: &dyn DataStore) {
    let validation = |text: &str| format!("datastore-validation: {text}");
    let try_spec = async |spec: EntrySpec| {
        refused(store.entry_create_or_get(EntryDraft { id: None, spec }, now()).await, Code::InvalidArgument)
            .message
    };
    assert_eq!(
        try_spec(spec("/a", &[])).await,
        validation("invalid registration entry: missing selector list")
    );
    let mixed = EntrySpec { store_svid: true, ..spec("/a", &["unix:uid:1", "k8s:ns:a"]) };
    assert_eq!(
        try_spec(mixed.clone()).await,
        validation("invalid registration entry: selector types must be the same when store SVID is enabled")
    );
    let no_prefetch = AdditionalAttributes { disable_x509_svid_prefetch: true, jwt_svid_include_jti: false };
    assert_eq!(
        try_spec(EntrySpec {
            store_svid: true,
            additional: Some(no_prefetch),
            ..spec("/a", &["unix:uid:1"])
        })
        .await,
        validation("specifying cache behaviour is incompatible with storable SVIDs")
    );
    assert_eq!(
        try_spec(EntrySpec { x509_svid_ttl: -1, ..spec("/a", &["unix:uid:1"]) }).await,
        validation("invalid registration entry: X509SvidTtl is not set")
    );
    assert_eq!(
        try_spec(EntrySpec { jwt_svid_ttl: -1, ..spec("/a", &["unix:uid:1"]) }).await,
        validation("invalid registration entry: JwtSvidTtl is not set")
    );

    let first = EntryDraft { id: Some(entry_id("taken")), spec: spec("/a", &["unix:uid:1"]) };
    created(store.entry_create_or_get(first, now()).await.expect("create"));
    let second = EntryDraft { id: Some(entry_id("taken")), spec: spec("/b", &["unix:uid:1"]) };
    let error = refused(store.entry_create_or_get(second, now()).await, Code::AlreadyExists);
    assert!(error.message.starts_with("datastore-sql: "), "{error}");
    refused(
        store.entry_create_or_get(draft("/twice", &["unix:uid:1", "unix:uid:1"]), now()).await,
        Code::AlreadyExists,
    );

    refused(
        store.entry_update(&entry_id("nobody"), spec("/a", &["unix:uid:1"]), now()).await,
        Code::NotFound,
    );
    refused(store.entry_update(&entry_id("taken"), mixed, now()).await, Code::InvalidArgument);
    refused(store.entry_update(&entry_id("taken"), spec("/a", &[]), now()).await, Code::InvalidArgument);
    let error = refused(store.entry_delete(&entry_id("nobody"), now()).await, Code::NotFound);
    assert_eq!(error.message, "datastore-sql: record not found");
    assert!(error.is_not_found());

    let all = store.entry_page(0, 100).await.expect("page");
    assert_eq!(all.len(), 1, "nothing is left of what was refused");
    assert_eq!((all[0].value.revision, &all[0].value.spec), (0, &spec("/a", &["unix:uid:1"])));
    assert_eq!(changed_after(store, 0).await, ["taken"]);
}

/// Federation needs the bundle; its order is that of the bundles, without doubles.
pub async fn entry_federation(store: &dyn DataStore) {
    for name in ["one.test", "two.test"] {
        let bundle = BundleChange::Set(Bundle::new(trust_domain(name)));
        store.bundle_change(&trust_domain(name), bundle, now()).await.expect("bundle");
    }
    let federated = |names: &[&str]| EntrySpec {
        federates_with: names.iter().map(|name| trust_domain(name)).collect(),
        ..spec("/a", &["unix:uid:1"])
    };
    let unknown = EntryDraft { id: None, spec: federated(&["one.test", "three.test"]) };
    let error = refused(store.entry_create_or_get(unknown, now()).await, Code::Internal);
    assert_eq!(error.message, "unable to find federated bundle \"spiffe://three.test\"");
    assert!(store.entry_page(0, 9).await.expect("page").is_empty());
    assert!(changed_after(store, 0).await.is_empty());

    let wish = EntryDraft { id: None, spec: federated(&["two.test", "one.test", "two.test"]) };
    let row = created(store.entry_create_or_get(wish, now()).await.expect("create"));
    assert_eq!(row.value.spec, federated(&["one.test", "two.test"]));
    assert_eq!(store.entry_get(&row.value.id).await.expect("get"), Some(row.clone()));
    let cut = store.entry_update(&row.value.id, federated(&["two.test"]), now()).await.expect("update");
    assert_eq!(cut.value.spec, federated(&["two.test"]));
    let error =
        refused(store.entry_update(&row.value.id, federated(&["three.test"]), now()).await, Code::Internal);
    assert_eq!(error.message, "unable to find federated bundle \"spiffe://three.test\"");
    assert_eq!(store.entry_get(&row.value.id).await.expect("get"), Some(cut));
}

/// A batch gives each draft its own verdict.
pub async fn entry_batch(store: &dyn DataStore) {
    let named = |name: &str, path: &str, texts: &[&str]| EntryDraft {
        id: Some(entry_id(name)),
        spec: spec(path, texts),
    };
    let mut unknown = draft("/c", &["unix:uid:1"]);
    unknown.spec.federates_with = vec![trust_domain("three.test")];
    let drafts = vec![
        named("one", "/a", &["unix:uid:1"]),
        named("two", "/a", &["unix:uid:1"]),
        named("one", "/b", &["unix:uid:1"]),
        draft("/b", &[]),
        unknown,
        named("three", "/b", &["unix:uid:1"]),
    ];
    let verdicts = store.entry_create_batch(drafts, now()).await.expect("batch");
    let told: Vec<_> = verdicts
        .iter()
        .map(|verdict| match verdict {
            Ok(Admission::Created(row)) => format!("created {}", row.value.id),
            Ok(Admission::Similar(row)) => format!("similar {}", row.value.id),
            Err(error) => error.code.to_string(),
        })
        .collect();
    assert_eq!(
        told,
        ["created one", "similar one", "AlreadyExists", "InvalidArgument", "Internal", "created three"]
    );
    assert_eq!(changed_after(store, 0).await, ["one", "three"]);
    assert_eq!(store.entry_page(0, 9).await.expect("page").len(), 2);
    assert!(store.entry_create_batch(Vec::new(), now()).await.expect("empty batch").is_empty());
}

/// Pages in row order, with everything that belongs to an entry.
pub async fn entry_pages(store: &dyn DataStore) {
    let mut made = Vec::new();
    for number in 0..7 {
        let mut wish = draft(&format!("/w{number}"), &["unix:uid:2", "unix:uid:1"]);
        wish.spec.dns_names = vec![format!("z{number}.test"), format!("a{number}.test")];
        made.push(created(store.entry_create_or_get(wish, now()).await.expect("create")));
    }
    let gone = made.remove(2);
    store.entry_delete(&gone.value.id, now()).await.expect("delete");
    assert_eq!(store.entry_page(0, 100).await.expect("page"), made);
    let mut walked = Vec::new();
    loop {
        let after = walked.last().map_or(0, |row: &Row<_>| row.row_id);
        let page = store.entry_page(after, 4).await.expect("page");
        assert!(page.len() <= 4);
        if page.is_empty() {
            break;
        }
        walked.extend(page);
    }
    assert_eq!(walked, made);
}

/// An update replaces everything and counts; a deletion gives the entry back and takes it away.
pub async fn entry_update_and_delete(store: &dyn DataStore) {
    let before =
        created(store.entry_create_or_get(draft("/a", &["unix:uid:1"]), now()).await.expect("create"));
    let id = before.value.id.clone();
    let created_event = store.entry_event_newest().await.expect("newest");
    let after = store.entry_update(&id, full_spec(), later(60)).await.expect("update");
    assert_eq!((after.row_id, &after.value.id), (before.row_id, &id));
    assert_eq!(after.value.revision, 1);
    assert_eq!(after.value.created_at, before.value.created_at, "an update is not a creation");
    assert_eq!(after.value.spec, full_spec());
    assert_eq!(store.entry_get(&id).await.expect("get"), Some(after.clone()));
    let same = store.entry_update(&id, full_spec(), later(61)).await.expect("update");
    assert_eq!(same.value.revision, 2, "each update counts");
    let other = spec("/b", &["k8s:ns:x"]);
    let last = store.entry_update(&id, other.clone(), later(62)).await.expect("update");
    assert_eq!(last.value.spec, other);
    assert_eq!(changed_after(store, created_event).await, vec![id.to_string(); 3]);

    assert_eq!(store.entry_delete(&id, later(63)).await.expect("delete"), last.value);
    assert_eq!(store.entry_get(&id).await.expect("get"), None);
    refused(store.entry_delete(&id, later(64)).await, Code::NotFound);
    assert_eq!(changed_after(store, created_event).await, vec![id.to_string(); 4]);

    // The ID and the place are free again, and nothing of the old entry shows.
    let again = EntryDraft { id: Some(id.clone()), spec: other.clone() };
    let again = created(store.entry_create_or_get(again, later(70)).await.expect("create"));
    assert_eq!((again.value.revision, again.value.spec), (0, other));
    assert!(again.row_id > before.row_id, "row numbers are not used twice");
}

/// Entries whose end has passed go, those that end now or never stay.
pub async fn entry_pruning(store: &dyn DataStore) {
    let end = 1_800_000_000;
    for (name, expires_at) in [
        ("never", None),
        ("now", Some(end)),
        ("past", Some(end - 1)),
        ("old", Some(5)),
        ("future", Some(end + 1)),
    ] {
        let mut wish = draft(&format!("/{name}"), &["unix:uid:1"]);
        wish.id = Some(entry_id(name));
        wish.spec.expires_at = expires_at.map(UnixTime::from_seconds);
        created(store.entry_create_or_get(wish, now()).await.expect("create"));
    }
    let newest = store.entry_event_newest().await.expect("newest");
    let first = store.entry_prune(now(), 1).await.expect("prune");
    assert_eq!(first.len(), 1, "at most the limit");
    let second = store.entry_prune(now(), 10).await.expect("prune");
    let mut names: Vec<_> = first.iter().chain(&second).map(|entry| entry.id.to_string()).collect();
    names.sort();
    assert_eq!(names, ["old", "past"]);
    assert!(store.entry_prune(now(), 10).await.expect("prune").is_empty());
    let mut told = changed_after(store, newest).await;
    told.sort();
    assert_eq!(told, names);
    let left = store.entry_page(0, 10).await.expect("page");
    let left: Vec<_> = left.iter().map(|row| row.value.id.as_str()).collect();
    assert_eq!(left, ["never", "now", "future"]);
}

/// Of many who admit the same at once, one creates it and the others find it.
pub async fn entry_concurrency(store: &dyn DataStore) {
    let admit = || store.entry_create_or_get(draft("/race", &["unix:uid:1"]), now());
    let (a, b, c, d) = tokio::join!(admit(), admit(), admit(), admit());
    let verdicts = [a, b, c, d].map(|verdict| verdict.expect("create"));
    let new = verdicts.iter().filter(|verdict| matches!(verdict, Admission::Created(_))).count();
    assert_eq!(new, 1);
    let rows = verdicts.map(either);
    assert!(rows.iter().all(|row| *row == rows[0]));

    // Updates at once are all counted; one that is refused takes nothing else with it.
    let id = rows[0].value.id.clone();
    let update = |path: &str| store.entry_update(&id, spec(path, &["unix:uid:1"]), now());
    let nobody = entry_id("nobody");
    let (a, b, bad, c) = tokio::join!(
        update("/x"),
        update("/y"),
        store.entry_update(&nobody, spec("/z", &["unix:uid:1"]), now()),
        update("/z")
    );
    refused(bad, Code::NotFound);
    let mut revisions = [a, b, c].map(|row| row.expect("update").value.revision);
    revisions.sort_unstable();
    assert_eq!(revisions, [1, 2, 3]);
    let entry = store.entry_get(&id).await.expect("get").expect("the entry");
    assert_eq!(entry.value.revision, 3);
    assert_eq!(entry.value.spec.selectors, selectors(&["unix:uid:1"]));
}
