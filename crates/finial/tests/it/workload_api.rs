//! The Workload API under the hands of all kinds of callers.
//!
//! Some callers must be processes of their own: this test executable started again, as [`probe`].

use crate::{EAGER, deployment, has_ids, own_uid, serving};
use anyhow::{Context, Result, ensure};
use finial_proto::workload as api;
use finial_proto::workload::spiffe_workload_api_client::SpiffeWorkloadApiClient;
use finial_testkit::{
    AgentOptions, Deployment, Outcome, Process, SecurityHeader, Workload, X509Update, entry, eventually,
    is_root, skip, workload_channel,
};
use hyper_util::rt::TokioIo;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};
use tokio::process::Command;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status};

/// What the recording of a real agent says.
const RECORDED: &str = include_str!("../../../../tests/fixtures/workload-api-statuses.txt");
/// What [`probe`] is to do.
const PROBE: &str = "FINIAL_TEST_PROBE";
const ID: &str = "spiffe://example.org/myservice";

/// An agent that serves two identities to this user.
async fn with_two_identities() -> Result<(Deployment, Process)> {
    let deployment = serving("", "").await?;
    let options = AgentOptions { agent: EAGER.to_owned(), ..Default::default() };
    let (agent, parent) = deployment.start_agent("a", &options).await?;
    let (first, second) = (ID, "spiffe://example.org/myservice2");
    for id in [first, second] {
        deployment.register(&parent, id, &[&own_uid()], 600).await?;
    }
    has_ids(&Workload::of(deployment.agent_socket("a")), &[first, second]).await?;
    Ok((deployment, agent))
}

/// The lines of one caller in the recording.
fn recorded(caller: &str) -> Vec<String> {
    let sections = RECORDED.split("# ").find(|section| section.starts_with(caller));
    let lines = sections.unwrap_or_default().lines().skip(1).filter(|line| !line.is_empty());
    lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_with_identities_gets_the_recorded_statuses() -> Result<()> {
    let (deployment, _agent) = with_two_identities().await?;
    let seen = statuses(&deployment.agent_socket("a")).await?;
    assert_eq!(seen.join("\n"), recorded("caller with two identities").join("\n"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_under_another_uid_gets_the_recorded_statuses() -> Result<()> {
    let test = "workload_api::a_caller_under_another_uid_gets_the_recorded_statuses";
    if !is_root() {
        skip(test, "only root can be somebody else");
        return Ok(());
    }
    let (deployment, _agent) = with_two_identities().await?;
    let mut stranger =
        probe_command(&deployment, &format!("statuses {}", deployment.agent_socket("a").display()))?;
    let printed = Outcome::of(stranger.uid(4242).gid(4242)).await?.ok()?;
    let seen: Vec<&str> = printed.lines().filter_map(|line| Some(line.split_once("PROBE ")?.1)).collect();
    assert_eq!(seen.join("\n"), recorded("caller without identity").join("\n"));
    Ok(())
}

/// Calls everything once, and gives a line for each: its name, the status, the message.
async fn statuses(socket: &Path) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    let channel = || workload_channel(socket);
    let mut note = |name: &str, outcome: Result<(), Status>| {
        let outcome = match outcome {
            Ok(()) => "OK".to_owned(),
            Err(status) => format!("{} | {}", upper_snake(status.code()), status.message()),
        };
        lines.push(format!("{name} {outcome}"));
    };
    let headers: [(&str, &[&str]); 5] = [
        ("FetchX509SVID no header", &[]),
        ("FetchX509SVID header false", &["false"]),
        ("FetchX509SVID header TRUE", &["TRUE"]),
        ("FetchX509SVID header twice", &["true", "true"]),
        ("FetchX509SVID header true + other", &["true", "+other"]),
    ];
    for (name, values) in headers {
        let mut request = Request::new(api::X509svidRequest {});
        set_headers(request.metadata_mut(), values)?;
        note(name, first(SpiffeWorkloadApiClient::new(channel()).fetch_x509svid(request).await).await);
    }
    let mut bare = SpiffeWorkloadApiClient::new(channel());
    let validation = api::ValidateJwtsvidRequest { audience: "a".to_owned(), svid: "x".to_owned() };
    note("ValidateJWTSVID no header", bare.validate_jwtsvid(validation).await.map(drop));

    let workload = Workload::of(socket);
    let mut client = workload.connect();
    note("FetchX509Bundles", first(client.fetch_x509_bundles(api::X509BundlesRequest {}).await).await);
    note("FetchJWTBundles", first(client.fetch_jwt_bundles(api::JwtBundlesRequest {}).await).await);
    note("FetchX509SVID", first(client.fetch_x509svid(api::X509svidRequest {}).await).await);
    let wanted: [(&str, &[&str], &str); 8] = [
        ("ok", &["a", "b"], ""),
        ("no audience", &[], ""),
        (r#"audience ["","a"]"#, &["", "a"], ""),
        ("bad id", &["a"], "bad"),
        ("upper td", &["a"], "spiffe://EXAMPLE.org/x"),
        ("unauthorized id", &["a"], "spiffe://example.org/nope"),
        ("foreign td id", &["a"], "spiffe://other.org/x"),
        ("own id", &["a"], ID),
    ];
    let mut token = String::new();
    for (name, audience, id) in wanted {
        let audience = audience.iter().map(|&audience| audience.to_owned()).collect();
        let request = api::JwtsvidRequest { audience, spiffe_id: id.to_owned() };
        let answer = client.fetch_jwtsvid(request).await.map(Response::into_inner);
        if let (Ok(answer), "ok") = (&answer, name) {
            token = answer.svids.first().map(|svid| svid.svid.clone()).unwrap_or_default();
        }
        note(&format!("FetchJWTSVID {name}"), answer.map(drop));
    }
    let mut validations = vec![
        ("empty audience", "", "x".to_owned()),
        ("empty svid", "a", String::new()),
        ("garbage", "a", "garbage".to_owned()),
    ];
    if !token.is_empty() {
        validations.push(("ok", "a", token.clone()));
        validations.push(("other aud", "zzz", token.clone()));
        validations.push(("tampered", "a", tampered(&token)));
    }
    for (name, audience, svid) in validations {
        let request = api::ValidateJwtsvidRequest { audience: audience.to_owned(), svid };
        let answer = client.validate_jwtsvid(request).await;
        note(&format!("ValidateJWTSVID {name}"), answer.map(drop));
    }
    let wit = api::WitsvidRequest { spiffe_id: String::new() };
    note("FetchWITSVID", first(client.fetch_witsvid(wit).await).await);
    note("FetchWITBundles", first(client.fetch_wit_bundles(api::WitBundlesRequest {}).await).await);
    note("Nope", unknown_method(channel()).await);
    let mut health = tonic_health::pb::health_client::HealthClient::new(channel());
    for (name, service) in [("health", ""), ("health svc x", "x")] {
        let request = tonic_health::pb::HealthCheckRequest { service: service.to_owned() };
        note(name, health.check(request).await.map(drop));
    }
    Ok(lines)
}

/// The outcome of a stream's first message.
async fn first<T>(answer: Result<Response<tonic::Streaming<T>>, Status>) -> Result<(), Status> {
    let message = answer?.into_inner().message().await?;
    message.map(drop).ok_or_else(|| Status::unknown("no message"))
}

fn set_headers(metadata: &mut MetadataMap, values: &[&str]) -> Result<()> {
    for value in values {
        match value.strip_prefix('+') {
            Some(name) => _ = metadata.append("other", name.parse()?),
            None => _ = metadata.append("workload.spiffe.io", value.parse()?),
        }
    }
    Ok(())
}

async fn unknown_method(channel: Channel) -> Result<(), Status> {
    let mut grpc = tonic::client::Grpc::new(channel);
    grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    let mut request = Request::new(api::X509svidRequest {});
    request.metadata_mut().insert("workload.spiffe.io", tonic::metadata::MetadataValue::from_static("true"));
    let codec: tonic_prost::ProstCodec<_, api::X509svidResponse> = tonic_prost::ProstCodec::default();
    let path = PathAndQuery::from_static("/SpiffeWorkloadAPI/Nope");
    grpc.unary(request, path, codec).await.map(|_| ())
}

/// The token with another signature.
fn tampered(token: &str) -> String {
    let (signed, signature) = token.rsplit_once('.').unwrap_or((token, ""));
    let other = if signature.starts_with('A') { "B" } else { "A" };
    format!("{signed}.{other}{}", signature.get(1..).unwrap_or_default())
}

/// `InvalidArgument` as `INVALID_ARGUMENT`.
fn upper_snake(code: tonic::Code) -> String {
    let mut text = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_uppercase() && !text.is_empty() {
            text.push('_');
        }
        text.push(letter.to_ascii_uppercase());
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_whose_maker_has_ended_gets_nothing() -> Result<()> {
    let (deployment, _agent) = with_two_identities().await?;
    let mut orphan = Orphan::new(&deployment).await?;
    let answer = orphan.ask().await?;
    ensure!(answer.starts_with("refused"), "{answer}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_got_the_number_of_an_ended_one_lends_it_nothing() -> Result<()> {
    let test = "workload_api::a_process_that_got_the_number_of_an_ended_one_lends_it_nothing";
    let (deployment, _agent) = with_two_identities().await?;
    let mut orphan = Orphan::new(&deployment).await?;
    let mut successor = None;
    for _ in 0..500 {
        if std::fs::write("/proc/sys/kernel/ns_last_pid", (orphan.maker - 1).to_string()).is_err() {
            break;
        }
        let mut sleep = Command::new("sleep");
        let process = Process::start("sleep", sleep.arg("60"))?;
        if process.pid() == Some(orphan.maker) {
            successor = Some(process);
            break;
        }
    }
    let Some(mut successor) = successor else {
        skip(test, "process numbers cannot be chosen here");
        return Ok(());
    };
    let answer = orphan.ask().await?;
    ensure!(successor.is_running(), "the successor has ended, too");
    ensure!(answer.starts_with("refused"), "{answer}");
    // The successor by itself would have been served.
    assert_eq!(Workload::of(deployment.agent_socket("a")).x509().await?.svids.len(), 2);
    Ok(())
}

/// A connection to an agent, held by another process than the one that made it, which has ended.
struct Orphan {
    maker: u32,
    holder: Process,
    go: std::path::PathBuf,
}

impl Orphan {
    async fn new(deployment: &Deployment) -> Result<Self> {
        let go = deployment.path("go");
        let what = format!("hand-over {} {}", deployment.agent_socket("a").display(), go.display());
        let mut holder = Process::start("maker", &mut probe_command(deployment, &what)?)?;
        let maker = holder.pid().context("the maker has ended already")?;
        holder.ended().await?;
        holder.line_after_end("PROBE waiting").await?;
        Ok(Self { maker, holder, go })
    }

    /// Lets the holder ask for an SVID, and gives what it got.
    async fn ask(&mut self) -> Result<String> {
        std::fs::write(&self.go, "")?;
        let line = self.holder.line_after_end("PROBE answer ").await?;
        Ok(line.split_once("PROBE answer ").map(|(_, answer)| answer.to_owned()).unwrap_or(line))
    }
}

/// This test executable, to do something else.
fn probe_command(deployment: &Deployment, what: &str) -> Result<Command> {
    let mut command = Command::new(deployment.copy_named(&std::env::current_exe()?, "probe")?);
    command.args(["--exact", "workload_api::probe", "--ignored", "--nocapture", "--test-threads=1"]);
    command.env(PROBE, what).current_dir("/");
    Ok(command)
}

/// Not a test: what the tests above start as processes of their own.
#[tokio::test]
#[ignore = "started by other tests"]
async fn probe() -> Result<()> {
    let what = std::env::var(PROBE).unwrap_or_default();
    match what.split(' ').collect::<Vec<_>>().as_slice() {
        ["statuses", socket] => {
            for line in statuses(Path::new(socket)).await? {
                println!("PROBE {line}");
            }
        }
        ["hand-over", socket, go] => {
            let connection = std::os::unix::net::UnixStream::connect(socket)?;
            let mut holder = std::process::Command::new(std::env::current_exe()?);
            holder.args(std::env::args_os().skip(1)).env(PROBE, format!("hold {} {go}", std::process::id()));
            holder.stdin(OwnedFd::from(connection)).spawn()?;
        }
        ["hold", maker, go] => hold(maker.parse()?, Path::new(go)).await?,
        _ => {}
    }
    Ok(())
}

async fn hold(maker: i32, go: &Path) -> Result<()> {
    let is_orphan = || rustix::process::getppid().is_none_or(|parent| parent.as_raw_nonzero().get() != maker);
    eventually("the maker's end", async || is_orphan().then_some(())).await?;
    println!("PROBE waiting");
    eventually("the word", async || go.exists().then_some(())).await?;
    let connection = std::os::unix::net::UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    connection.set_nonblocking(true)?;
    let mut connection = Some(tokio::net::UnixStream::from_std(connection)?);
    let connector = tower::service_fn(move |_: tonic::transport::Uri| {
        let connection = connection.take().ok_or_else(|| std::io::Error::other("only one connection"));
        async move { connection.map(TokioIo::new) }
    });
    let channel = Endpoint::from_static("http://localhost").connect_with_connector_lazy(connector);
    let mut client = SpiffeWorkloadApiClient::with_interceptor(channel, SecurityHeader);
    let answer = async {
        let mut stream = client.fetch_x509svid(api::X509svidRequest {}).await?.into_inner();
        stream.message().await?.ok_or_else(|| Status::unavailable("end of stream"))
    };
    match tokio::time::timeout(Duration::from_secs(10), answer).await {
        Ok(Ok(message)) => {
            let update = X509Update::read(message, SystemTime::now())?;
            println!("PROBE answer SVIDs {:?}", update.ids());
        }
        Ok(Err(status)) => println!("PROBE answer refused {:?} {}", status.code(), status.message()),
        Err(_) => println!("PROBE answer nothing in time"),
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_workloads_watch_at_once() -> Result<()> {
    const STREAMS: usize = 1000;
    let mut deployment = serving("", "").await?;
    let options = AgentOptions { agent: EAGER.to_owned(), ..Default::default() };
    let (agent, parent) = deployment.start_agent("a", &options).await?;
    let mut stored = deployment.create_entry(entry(&parent, ID, &[&own_uid()])?).await?;
    let workload = Workload::of(deployment.agent_socket("a"));
    has_ids(&workload, &[ID]).await?;
    let idle = agent.resident_kib()?;
    more_files();

    let begun = Instant::now();
    let mut opening = tokio::task::JoinSet::new();
    for _ in 0..STREAMS {
        let workload = workload.clone();
        opening.spawn(async move {
            let mut watch = workload.watch_x509().await?;
            watch.next().await?;
            Ok::<_, Status>(watch)
        });
    }
    let mut watches = Vec::new();
    while let Some(opened) = opening.join_next().await {
        watches.push(opened??);
    }
    let opened = begun.elapsed();

    stored.dns_names = vec!["changed.example.org".to_owned()];
    deployment.update_entry(stored).await?;
    let begun = Instant::now();
    let mut told = tokio::task::JoinSet::new();
    for mut watch in watches {
        told.spawn(async move {
            loop {
                let update = watch.next().await?;
                if !update.svids[0].leaf().dns_names().is_empty() {
                    return Ok::<_, Status>(watch);
                }
            }
        });
    }
    let mut watches = Vec::new();
    while let Some(heard) = tokio::time::timeout(Duration::from_secs(30), told.join_next()).await? {
        watches.push(heard??);
    }
    let (told, resident) = (begun.elapsed(), agent.resident_kib()?);
    eprintln!(
        "{STREAMS} streams opened in {opened:?}, told of a change in {told:?}; {idle} KiB, then {resident} KiB"
    );
    drop(watches);
    assert!(deployment.server()?.is_running());
    Ok(())
}

/// Lets this process have as many files as it may.
pub(crate) fn more_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let _ = setrlimit(Resource::Nofile, limit);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_hangs_while_there_is_no_agent() -> Result<()> {
    let deployment = deployment()?;
    let workload = Workload::of(deployment.agent_socket("a"));
    let begun = Instant::now();
    assert_eq!(workload.x509().await.unwrap_err().code(), tonic::Code::Unavailable);
    assert!(begun.elapsed() < Duration::from_secs(5));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn workloads_that_call_too_often_are_refused_and_the_agent_stays_well() -> Result<()> {
    let deployment = serving("", "").await?;
    let options = AgentOptions {
        agent:
            "experimental { sync_interval = \"1s\" ratelimit { fetch_jwt_svid = 1 fetch_x509_bundles = 1 } }"
                .to_owned(),
        ..Default::default()
    };
    let (_agent, id) = deployment.start_agent("a", &options).await?;
    deployment.register(&id, "spiffe://example.org/w", &[&own_uid()], 60).await?;
    has_ids(&Workload::of(deployment.agent_socket("a")), &["spiffe://example.org/w"]).await?;
    let call = || deployment.agent_command("a", &["api", "fetch", "jwt", "-audience", "x"]);
    // The calls of one round are at the same time, so that a slow machine does not spread them over seconds.
    let refused = eventually("a refusal", async || {
        let outcomes = futures_util::future::try_join_all((0..8).map(|_| call())).await.ok()?;
        assert!(outcomes.iter().any(|outcome| outcome.code == 0), "{outcomes:?}");
        outcomes.into_iter().find(|outcome| outcome.code != 0)
    })
    .await?;
    let text = "code = Unavailable desc = rate limit exceeded for /SpiffeWorkloadAPI/FetchJWTSVID";
    assert!(refused.stderr.contains(text), "{refused:?}");
    deployment.agent_command("a", &["healthcheck"]).await?.ok()?;
    Ok(())
}
