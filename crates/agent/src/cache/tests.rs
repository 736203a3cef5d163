//! The cache against a naive model, after every step of random histories.

use super::*;
use finial_identity::{
    AdditionalAttributes, Bundle, EntryId, GrantedEntry, Selector, SpiffeId, TrustDomain, UnixTime,
    X509Authority,
};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

const BEGIN: i64 = 1_800_000_000;
const LIFE: i64 = 100;
const ENTRIES: u8 = 8;
const SELECTORS: u8 = 5;

/// Made by Finial's own builder once; only its key ID matters here.
fn authority(number: u8) -> X509Authority {
    use finial_identity::x509::{
        Certificate, CertificateTemplate, DistinguishedName, Issuer, Profile, SerialNumber, Validity,
        assemble, to_be_signed,
    };
    use finial_identity::{KeyType, PrivateKey, SignatureScheme};
    use std::sync::OnceLock;
    static MADE: [OnceLock<X509Authority>; 3] = [const { OnceLock::new() }; 3];
    let make = || {
        let key = PrivateKey::generate(KeyType::EcP256).unwrap();
        let subject = DistinguishedName::spire();
        let template = CertificateTemplate {
            serial: SerialNumber::random().unwrap(),
            subject: subject.clone(),
            validity: Validity {
                not_before: UnixTime::from_seconds(BEGIN),
                not_after: UnixTime::from_seconds(BEGIN + 86_400),
            },
            subject_key: key.public_key().clone(),
            profile: Profile::Authority { uri: domain().id() },
            extra_extensions: vec![],
        };
        let scheme = SignatureScheme::EcdsaP256Sha256;
        let tbs = to_be_signed(&template, &Issuer { subject_der: subject.der(), key_id: None, scheme });
        let signature = key.sign(scheme, &tbs).unwrap();
        X509Authority::new(Certificate::from_der(&assemble(&tbs, scheme, &signature)).unwrap())
    };
    MADE[usize::from(number)].get_or_init(make).clone()
}

fn domain() -> TrustDomain {
    TrustDomain::parse("example.org").unwrap()
}

fn bundle(tainted: &BTreeSet<u8>) -> Bundle {
    let mut bundle = Bundle::new(domain());
    bundle.x509_authorities =
        (0..3).map(|n| X509Authority { tainted: tainted.contains(&n), ..authority(n) }).collect();
    bundle
}

fn id(number: u8) -> EntryId {
    EntryId::parse(format!("e{number}")).unwrap()
}

fn selectors(numbers: &BTreeSet<u8>) -> Vec<Selector> {
    numbers.iter().map(|number| Selector::new("k", number.to_string()).unwrap()).collect()
}

/// The state of an entry, as the server may give it.
#[derive(Debug, Clone)]
struct Spec {
    wanted: BTreeSet<u8>,
    revision: i64,
    created_at: i64,
    path: u8,
    is_stored: bool,
    is_prefetched: bool,
}

impl Spec {
    fn entry(&self, number: u8) -> GrantedEntry {
        GrantedEntry {
            id: id(number),
            spiffe_id: SpiffeId::parse(&format!("spiffe://example.org/{}", self.path)).unwrap(),
            selectors: selectors(&self.wanted),
            federates_with: vec![],
            admin: false,
            downstream: false,
            revision: self.revision,
            created_at: UnixTime::from_seconds(self.created_at),
            store_svid: self.is_stored,
            hint: String::new(),
            additional: AdditionalAttributes {
                disable_x509_svid_prefetch: !self.is_prefetched,
                jwt_svid_include_jti: false,
            },
        }
    }
}

/// What happens to a cache.
#[derive(Debug, Clone)]
enum Step {
    /// The server grants these; those that are the same as before are told as kept.
    Entries(BTreeMap<u8, Spec>),
    Join(BTreeSet<u8>),
    /// One of those who are connected.
    Leave(usize),
    Taint(BTreeSet<u8>),
    /// Signs what the plan names, at most so many of it, with one of the authorities.
    Sign {
        at_most: usize,
        authority: u8,
    },
    Wait(i64),
}

fn specs() -> impl Strategy<Value = Spec> {
    let wanted = prop::collection::btree_set(0..SELECTORS, 0..4);
    (wanted, 0..2i64, 0..2i64, 0..2u8, prop::bool::weighted(0.1), prop::bool::weighted(0.7)).prop_map(
        |(wanted, revision, created_at, path, is_stored, is_prefetched)| Spec {
            wanted,
            revision,
            created_at,
            path,
            is_stored,
            is_prefetched,
        },
    )
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => prop::collection::btree_map(0..ENTRIES, specs(), 0..usize::from(ENTRIES)).prop_map(Step::Entries),
        3 => prop::collection::btree_set(0..SELECTORS, 0..5).prop_map(Step::Join),
        2 => any::<usize>().prop_map(Step::Leave),
        1 => prop::collection::btree_set(0..3u8, 0..2).prop_map(Step::Taint),
        4 => (prop_oneof![Just(100usize), 1..4usize], 0..3u8)
            .prop_map(|(at_most, authority)| Step::Sign { at_most, authority }),
        2 => (1..80i64).prop_map(Step::Wait),
    ]
}

/// The cache, and everything that the tests know of it.
struct Bench {
    cache: Cache,
    x509_max: usize,
    entries: BTreeMap<u8, GrantedEntry>,
    tainted: BTreeSet<u8>,
    connected: Vec<(GroupId, BTreeSet<u8>)>,
    now: SystemTime,
    serial: i64,
}

/// What is seen of a view: entry, its revision, and which SVID.
type Seen = Vec<(EntryId, i64, Option<UnixTime>)>;

fn seen(view: &View) -> Seen {
    let show = |i: &Identity| (i.entry.id.clone(), i.entry.revision, i.x509.as_ref().map(|m| m.not_before));
    view.identities.iter().map(show).collect()
}

impl Bench {
    fn new(x509_max: usize) -> Self {
        let bundles = BundleSet::new(bundle(&BTreeSet::new()));
        Self {
            cache: Cache::new(CacheOptions { x509_max }, bundles),
            x509_max,
            entries: BTreeMap::new(),
            tainted: BTreeSet::new(),
            connected: vec![],
            now: UnixTime::from_seconds(BEGIN).to_system_time(),
            serial: 0,
        }
    }

    fn seen(&self) -> HashMap<GroupId, Seen> {
        let view = |group: &GroupId| self.cache.view(*group).expect("a group with a member has a view");
        self.connected.iter().map(|(group, _)| (*group, seen(&view(group)))).collect()
    }

    fn take(&mut self, step: Step) {
        let before = self.seen();
        let told = match step {
            Step::Entries(specs) => self.set_entries(&specs),
            Step::Join(numbers) => {
                let (group, view) = self.cache.join(&selectors(&numbers));
                assert_eq!(seen(&view), seen(&self.cache.look(&selectors(&numbers))));
                for (other, theirs) in &self.connected {
                    assert_eq!(*other == group, *theirs == numbers, "a group is a set of selectors");
                }
                self.connected.push((group, numbers));
                Touched::new()
            }
            Step::Leave(which) => {
                if !self.connected.is_empty() {
                    let (group, _) = self.connected.swap_remove(which % self.connected.len());
                    self.cache.leave(group);
                    let stays = self.connected.iter().any(|(other, _)| *other == group);
                    assert_eq!(self.cache.view(group).is_some(), stays);
                }
                Touched::new()
            }
            Step::Taint(numbers) => {
                self.tainted = numbers;
                let bundles = self.cache.bundles().replaced_by([bundle(&self.tainted)]);
                self.cache.set_bundles(bundles)
            }
            Step::Sign { at_most, authority } => self.sign(at_most, authority),
            Step::Wait(seconds) => {
                self.now += Duration::from_secs(seconds.unsigned_abs());
                Touched::new()
            }
        };
        for (group, now) in self.seen() {
            let changed = before.get(&group).is_some_and(|before| *before != now);
            assert!(!changed || told.contains(&group), "a change that nobody was told of");
        }
        self.check_views();
    }

    fn set_entries(&mut self, specs: &BTreeMap<u8, Spec>) -> Touched {
        let wanted: BTreeMap<u8, GrantedEntry> = specs.iter().map(|(n, spec)| (*n, spec.entry(*n))).collect();
        let is_kept = |n: &u8, entry: &GrantedEntry| {
            self.entries.get(n).is_some_and(|held| held.is_version(entry.revision, entry.created_at))
        };
        let (kept, changed): (Vec<_>, Vec<_>) = wanted.into_iter().partition(|(n, entry)| is_kept(n, entry));
        let ids: HashSet<EntryId> = kept.iter().map(|(n, _)| id(*n)).collect();
        // What is kept stays as it was, whatever the server thinks of it.
        let kept: Vec<(u8, GrantedEntry)> =
            kept.into_iter().map(|(n, _)| (n, self.entries[&n].clone())).collect();
        let told = self.cache.set_entries(&ids, changed.iter().map(|(_, entry)| entry.clone()).collect());
        self.entries = kept.into_iter().chain(changed).collect();
        told
    }

    fn matching(&self, numbers: &BTreeSet<u8>) -> Vec<EntryId> {
        let has: HashSet<Selector> = selectors(numbers).into_iter().collect();
        let entries = self.entries.values().filter(|entry| !entry.store_svid && !entry.selectors.is_empty());
        entries
            .filter(|entry| entry.selectors.iter().all(|s| has.contains(s)))
            .map(|e| e.id.clone())
            .collect()
    }

    fn check_views(&self) {
        assert_eq!(self.cache.entry_count(), self.entries.len());
        for (group, numbers) in &self.connected {
            let view = self.cache.view(*group).unwrap();
            let ids: Vec<EntryId> = view.identities.iter().map(|i| i.entry.id.clone()).collect();
            assert_eq!(ids, self.matching(numbers), "for {numbers:?}");
            assert_eq!(seen(&view), seen(&self.cache.look(&selectors(numbers))), "views are up to date");
            for identity in &view.identities {
                assert_eq!(Some(&identity.entry), self.cache.entry(&identity.entry.id));
            }
        }
    }

    fn pinned(&self) -> HashSet<EntryId> {
        self.connected.iter().flat_map(|(_, numbers)| self.matching(numbers)).collect()
    }

    fn material(&self, entry: &EntryId) -> Option<Arc<X509Material>> {
        let number = self.entries.iter().find(|(_, held)| held.id == *entry)?.0;
        let view = self.cache.look(&self.entries[number].selectors);
        view.identities.iter().find(|identity| identity.entry.id == *entry)?.x509.clone()
    }

    /// Whether the SVID of an entry must be made; of those that workloads can see.
    fn is_due(&self, entry: &GrantedEntry) -> bool {
        let tainted: Vec<String> = self.tainted.iter().map(|n| authority(*n).id().to_string()).collect();
        self.material(&entry.id).is_none_or(|held| {
            held.rotate_at <= self.now
                || !entry.is_version(held.revision, held.created_at)
                || tainted.contains(&held.authority_key_id)
        })
    }

    fn sign(&mut self, at_most: usize, by: u8) -> Touched {
        let due: HashSet<EntryId> =
            self.entries.values().filter(|entry| self.is_due(entry)).map(|entry| entry.id.clone()).collect();
        let plan = self.cache.plan(self.now);
        let mut told = plan.touched.clone();
        self.check_plan(&plan, &due);
        self.serial += 1;
        let signed = plan.sign.iter().take(at_most).map(|id| (id.clone(), self.sign_one(id, by))).collect();
        told.extend(self.cache.install(signed));
        if at_most >= plan.sign.len() && !self.tainted.contains(&by) {
            // All is done: nothing more to do now, and the next thing to do is in the future.
            let again = self.cache.plan(self.now);
            told.extend(again.touched.clone());
            assert_eq!(again.sign, [], "signed, and wanted again at once");
            assert!(self.cache.next_due().is_none_or(|due| due > self.now), "the signer would spin");
            let most = self.x509_max.max(self.pinned().len());
            assert!(self.cache.x509_count() <= most, "{} held of {most}", self.cache.x509_count());
        }
        told
    }

    fn check_plan(&self, plan: &Plan, due: &HashSet<EntryId>) {
        let pinned = self.pinned();
        let planned: HashSet<&EntryId> = plan.sign.iter().collect();
        assert_eq!(planned.len(), plan.sign.len(), "each once");
        for id in &pinned {
            assert!(!due.contains(id) || planned.contains(id), "{id} is used and due, and is not planned");
        }
        for id in &plan.sign {
            let entry = self.cache.entry(id).expect("planned entries exist");
            assert!(due.contains(id) || self.is_due(entry), "{id} is planned and not due");
            let is_wanted = !entry.additional.disable_x509_svid_prefetch && !entry.store_svid;
            assert!(pinned.contains(id) || is_wanted, "{id} is signed for nobody");
        }
        let first_unpinned = plan.sign.iter().position(|id| !pinned.contains(id)).unwrap_or(plan.sign.len());
        assert!(plan.sign[first_unpinned..].iter().all(|id| !pinned.contains(id)), "used ones come first");
        let used = &plan.sign[..first_unpinned];
        let first_held = used.iter().position(|id| self.material(id).is_some()).unwrap_or(used.len());
        let waited_for = used[first_held..].iter().all(|id| self.material(id).is_some());
        assert!(waited_for, "those that are waited for come first of all");
        let spare = self.x509_max.saturating_sub(pinned.len());
        assert!(plan.sign.len() - first_unpinned <= spare, "more than the limit");
        for entry in self.entries.values() {
            let held = self.material(&entry.id);
            assert!(held.is_none_or(|m| m.expires_at >= self.now.into()), "{} has ended", entry.id);
        }
    }

    fn sign_one(&self, id: &EntryId, by: u8) -> X509Material {
        let entry = self.cache.entry(id).unwrap();
        let begin = UnixTime::from(self.now);
        X509Material {
            chain: bytes::Bytes::new(),
            key_pkcs8: Vec::new().into(),
            authority_key_id: authority(by).id().to_string(),
            // Stands for the SVID itself: no two are alike.
            not_before: UnixTime::from_seconds(self.serial),
            expires_at: begin.plus_seconds(LIFE),
            rotate_at: begin.plus_seconds(LIFE / 2).to_system_time(),
            revision: entry.revision,
            created_at: entry.created_at,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_the_model(x509_max in 0..6usize, history in prop::collection::vec(steps(), 1..40)) {
        let mut bench = Bench::new(x509_max);
        for step in history {
            bench.take(step);
        }
    }
}

/// An entry that is deleted and made again under its ID is another one: its SVID goes at once.
#[test]
fn another_entry_under_the_same_id_does_not_inherit_the_svid() {
    let spec = Spec {
        wanted: BTreeSet::from([1]),
        revision: 0,
        created_at: 0,
        path: 0,
        is_stored: false,
        is_prefetched: true,
    };
    for (next, keeps) in [
        (Spec { revision: 1, ..spec.clone() }, true),
        (Spec { created_at: 1, ..spec.clone() }, false),
        (Spec { revision: 1, path: 1, ..spec.clone() }, false),
    ] {
        let mut bench = Bench::new(10);
        bench.take(Step::Entries(BTreeMap::from([(0, spec.clone())])));
        bench.take(Step::Join(BTreeSet::from([1])));
        bench.take(Step::Sign { at_most: 1, authority: 0 });
        bench.take(Step::Entries(BTreeMap::from([(0, next.clone())])));
        assert_eq!(bench.material(&id(0)).is_some(), keeps, "{next:?}");
        assert_eq!(bench.cache.plan(bench.now).sign, [id(0)], "and a new one is made in any case");
    }
}

/// What nobody uses is given up when it falls due, rather than renewed or kept until it ends.
#[test]
fn an_svid_that_is_not_prefetched_goes_with_its_workload() {
    let mut bench = Bench::new(10);
    let spec = Spec {
        wanted: BTreeSet::from([1]),
        revision: 0,
        created_at: 0,
        path: 0,
        is_stored: false,
        is_prefetched: false,
    };
    bench.take(Step::Entries(BTreeMap::from([(0, spec)])));
    assert_eq!(bench.cache.plan(bench.now).sign, []);
    bench.take(Step::Join(BTreeSet::from([1])));
    bench.take(Step::Sign { at_most: 1, authority: 0 });
    bench.take(Step::Leave(0));
    assert_eq!((bench.cache.plan(bench.now).sign, bench.cache.x509_count()), (vec![], 1));
    bench.take(Step::Wait(LIFE / 2));
    assert_eq!((bench.cache.plan(bench.now).sign, bench.cache.x509_count()), (vec![], 0));
    assert_eq!(bench.cache.next_due(), None);
}
