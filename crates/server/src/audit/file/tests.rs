use super::*;
use finial_runtime::clock::TestClock;
use std::fs;
use std::os::unix::fs::PermissionsExt;

struct World {
    directory: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("audit.jsonl")
    }

    fn try_open(&self) -> Result<AuditFile, AuditFileError> {
        AuditFile::open(&self.path(), Arc::new(TestClock::at_unix(1_800_000_000)))
    }

    fn with_records(texts: &[&str]) -> Self {
        let world = Self::new();
        let file = world.try_open().unwrap();
        texts.iter().for_each(|text| file.append(&vec![("method".to_owned(), (*text).into())]));
        world
    }

    fn lines(&self) -> Vec<String> {
        fs::read_to_string(self.path()).unwrap().lines().map(str::to_owned).collect()
    }

    fn write(&self, lines: &[String]) {
        fs::write(self.path(), lines.iter().fold(String::new(), |all, line| all + line + "\n")).unwrap();
    }

    fn verify(&self) -> Result<Verified, String> {
        let file = fs::read(self.path()).unwrap();
        verify(file.as_slice()).map_err(|broken| broken.to_string())
    }
}

#[test]
fn records_are_chained_over_restarts() {
    let world = World::with_records(&["one", "two"]);
    let second = world.try_open().unwrap();
    second.append(&vec![("ttl".to_owned(), 60_i64.into()), ("admin".to_owned(), true.into())]);
    let lines = world.lines();
    let zeros = "0".repeat(64);
    assert_eq!(
        lines[0],
        format!(r#"{{"method":"one","previous":"{zeros}","sequence":1,"time":"2027-01-15T08:00:00Z"}}"#)
    );
    assert!(lines[2].starts_with(r#"{"admin":true,"previous":""#), "{}", lines[2]);
    let hash = finial_identity::key::sha256_hex(lines[2].as_bytes());
    assert_eq!(world.verify(), Ok(Verified { records: 3, hash }));
    assert_eq!(fs::metadata(world.path()).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn every_change_is_found_at_its_place() {
    let names = ["one", "two", "three", "four"];
    type Change = fn(&mut Vec<String>);
    let changes: [(&str, Change, u64); 5] = [
        ("another value", |lines| lines[1] = lines[1].replace("two", "six"), 3),
        ("a line removed", |lines| drop(lines.remove(1)), 2),
        ("the first line removed", |lines| drop(lines.remove(0)), 1),
        ("two lines swapped", |lines| lines.swap(1, 2), 2),
        ("a line put in", |lines| lines.insert(2, "{}".to_owned()), 3),
    ];
    for (what, change, want) in changes {
        let world = World::with_records(&names);
        assert_eq!(world.verify().unwrap().records, 4);
        let mut lines = world.lines();
        change(&mut lines);
        world.write(&lines);
        let told = world.verify().unwrap_err();
        assert!(told.contains(&format!("in line {want}: ")), "{what}: {told}");
    }
}

#[test]
fn a_torn_line_is_cut_off_and_told() {
    let world = World::with_records(&["one", "two"]);
    let whole = fs::read(world.path()).unwrap();
    fs::write(world.path(), &whole[..whole.len() - 7]).unwrap();
    assert!(world.verify().unwrap_err().contains("line 2: it is torn"));
    world.try_open().unwrap().append(&vec![("method".to_owned(), "three".into())]);
    let lines = world.lines();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[1].contains(r#""type":"torn_line_removed""#), "{}", lines[1]);
    assert_eq!(world.verify().unwrap().records, 3);
}

#[test]
fn a_torn_first_line_leaves_an_empty_file() {
    let world = World::new();
    fs::write(world.path(), "{\"seq").unwrap();
    drop(world.try_open().unwrap());
    assert_eq!(world.verify().unwrap().records, 1);
}

#[test]
fn lines_longer_than_a_look_are_found() {
    let world = World::with_records(&["one", &"x".repeat(300_000)]);
    world.try_open().unwrap().append(&Fields::new());
    assert_eq!(world.verify().unwrap().records, 3);
}

#[test]
fn other_files_are_not_continued() {
    let world = World::new();
    fs::write(world.path(), "hello\n").unwrap();
    let told = world.try_open().unwrap_err().to_string();
    assert!(told.contains("is no record: it is no JSON object"), "{told}");
    assert_eq!(fs::read(world.path()).unwrap(), b"hello\n", "it is left as it is");
}

#[test]
fn a_file_has_one_server() {
    let world = World::new();
    let _first = world.try_open().unwrap();
    assert!(matches!(world.try_open(), Err(AuditFileError::InUse(_))));
}
