//! `api fetch`, `api fetch x509`, `api fetch jwt`.

use super::OUTPUT_FLAGS;
use super::workload::{TIMEOUT_FLAGS, WorkloadClient, read_response};
use crate::cli::command::{Command, Invocation, Manner, call};
use crate::cli::connect::WORKLOAD_FLAGS;
use crate::cli::input::{MODE_PRIVATE, MODE_PUBLIC, join_path, write_file};
use crate::flags::{Flag, FlagSet, Kind, switch, text};
use crate::output::agent::jwt;
use crate::output::agent::x509::{FetchedSvid, print_fetched};
use crate::output::{Fault, Format, Terminal, json};
use finial_identity::pem;
use finial_identity::x509::Certificate;
use finial_proto::workload::{JwtBundlesRequest, JwtBundlesResponse, JwtsvidRequest, X509svidRequest};
use finial_runtime::config::duration::GoDuration;
use std::io::Write;
use std::time::Instant;
use tonic::{Status, Streaming};

/// Without a kind: X.509.
pub(super) static DEFAULT: Command =
    x509_command("api fetch", &[("api fetch -output json", "the same as `api fetch x509`")]);
pub(super) static X509: Command = x509_command(
    "api fetch x509",
    &[
        ("api fetch x509", "which identities this process has"),
        ("api fetch x509 -silent -write /tmp/svid", "certificates, keys and bundles as files"),
    ],
);

pub(super) static JWT: Command = Command {
    path: "api fetch jwt",
    synopsis: "Fetches a JWT SVID from the Workload API",
    about: "Fetches a token for an audience (or several, with commas) for each identity of the calling \
         process, or for the one that `-spiffeID` names, and prints it with the keys to validate it.",
    flags: FlagSet { name: "fetch jwt", groups: &[JWT_FLAGS, TIMEOUT_FLAGS, WORKLOAD_FLAGS, OUTPUT_FLAGS] },
    manner: Manner::WORKLOAD,
    examples: &[("api fetch jwt -audience vault", "a token for one party, and the keys to check it with")],
    action: call!(fetch_jwt),
};

const fn x509_command(path: &'static str, examples: &'static [(&'static str, &'static str)]) -> Command {
    Command {
        path,
        synopsis: "Fetches X509 SVIDs from the Workload API",
        about: "Fetches the X509-SVIDs of the calling process, as any workload would, checks them and \
             prints what they are. With `-write` they become files: `svid.N.pem`, `svid.N.key`, \
             `bundle.N.pem`, and `federated_bundle.N.M.pem`.",
        flags: FlagSet {
            name: "fetch x509",
            groups: &[X509_FLAGS, TIMEOUT_FLAGS, WORKLOAD_FLAGS, OUTPUT_FLAGS],
        },
        manner: Manner::WORKLOAD,
        examples,
        action: call!(fetch_x509),
    }
}

const X509_FLAGS: &[Flag] = &[
    switch("silent", "Suppress stdout"),
    text(
        "write",
        "Write SVID data to the specified path (optional; only available for pretty output format)",
    ),
];

const JWT_FLAGS: &[Flag] = &[
    Flag { name: "audience", kind: Kind::CommaList, help: "comma separated list of audience values" },
    Flag { name: "format", kind: Kind::Format, help: "deprecated; use -output" },
    text("spiffeID", "SPIFFE ID subject (optional)"),
];

async fn fetch_x509(invocation: Invocation<'_>) -> Result<(), Fault> {
    let Invocation { flags, terminal } = invocation;
    let client = WorkloadClient::new(flags, flags.duration("timeout"))?;
    let start = Instant::now();
    let mut api = client.api.clone();
    let answer = async {
        let stream = api.fetch_x509svid(client.request(X509svidRequest {})).await?;
        first(stream.into_inner()).await
    };
    let response = client.in_time(answer).await.map_err(|status| Fault::of_call(&status))?;
    let after = GoDuration::from(start.elapsed());
    if flags.format() == Format::Json {
        return Ok(json::print(&mut terminal.out, &response)?);
    }
    let svids = read_response(&response)?;
    if !flags.is_on("silent") {
        print_fetched(&mut terminal.out, &svids, after)?;
    }
    match flags.some_text("write") {
        Some(folder) => write_svids(terminal, folder, &svids),
        None => Ok(()),
    }
}

/// The first message of a stream; one that ends before is told as Go tells it.
async fn first<T>(mut stream: Streaming<T>) -> Result<T, Status> {
    stream.message().await?.ok_or_else(|| Status::unknown("EOF"))
}

fn write_svids(terminal: &mut Terminal, folder: &str, svids: &[FetchedSvid]) -> Result<(), Fault> {
    for (index, svid) in svids.iter().enumerate() {
        let path = join_path(folder, &format!("svid.{index}.pem"));
        writeln!(terminal.out, "Writing SVID #{index} to file {path}.")?;
        write_file(&path, certificates_pem(&svid.chain).as_bytes(), MODE_PUBLIC)?;

        let path = join_path(folder, &format!("svid.{index}.key"));
        writeln!(terminal.out, "Writing key #{index} to file {path}.")?;
        write_file(&path, pem::encode("PRIVATE KEY", svid.key.to_pkcs8()).as_bytes(), MODE_PRIVATE)?;

        let path = join_path(folder, &format!("bundle.{index}.pem"));
        writeln!(terminal.out, "Writing bundle #{index} to file {path}.")?;
        write_file(&path, certificates_pem(&svid.bundle).as_bytes(), MODE_PUBLIC)?;

        for (number, (trust_domain, bundle)) in svid.federated.iter().enumerate() {
            let path = join_path(folder, &format!("federated_bundle.{index}.{number}.pem"));
            writeln!(
                terminal.out,
                "Writing federated bundle #{number} for trust domain {trust_domain} to file {path}."
            )?;
            write_file(&path, certificates_pem(bundle).as_bytes(), MODE_PUBLIC)?;
        }
    }
    Ok(())
}

fn certificates_pem(certificates: &[Certificate]) -> String {
    certificates.iter().map(|certificate| pem::encode("CERTIFICATE", certificate.der())).collect()
}

async fn fetch_jwt(invocation: Invocation<'_>) -> Result<(), Fault> {
    let Invocation { flags, terminal } = invocation;
    let client = WorkloadClient::new(flags, flags.duration("timeout"))?;
    let audience = flags.list("audience").to_vec();
    if audience.is_empty() {
        return Err(Fault::new("audience must be specified"));
    }
    let bundles = fetch_jwt_bundles(&client).await?;
    let request = JwtsvidRequest { audience, spiffe_id: flags.text("spiffeID").to_owned() };
    let mut api = client.api.clone();
    let answer = client.in_time(api.fetch_jwtsvid(client.request(request))).await;
    let svids = answer.map_err(|status| Fault::of_call(&status))?.into_inner();
    match flags.format() {
        Format::Pretty => jwt::print_fetched(&mut terminal.out, &svids, &bundles),
        Format::Json => {
            let values = [json::to_value(&svids)?, json::to_value(&bundles)?];
            Ok(json::print_values(&mut terminal.out, &values)?)
        }
    }
}

/// Go tells of a connection that fails before the stream is there in other words than of one that fails later.
async fn fetch_jwt_bundles(client: &WorkloadClient) -> Result<JwtBundlesResponse, Fault> {
    let mut api = client.api.clone();
    let answer = async {
        let stream = api.fetch_jwt_bundles(client.request(JwtBundlesRequest {})).await?;
        first(stream.into_inner()).await
    };
    client.in_time(answer).await.map_err(|status| {
        if finial_wire::status::dial_error(&status).is_some() {
            Fault::of_call_while("failed to receive JWT bundles", &status)
        } else {
            Fault::of_call(&status)
        }
    })
}
