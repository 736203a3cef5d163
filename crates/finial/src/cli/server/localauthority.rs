//! `localauthority x509 …`, `localauthority jwt …` and `upstreamauthority …`.

use super::server_command;
use crate::cli::command::{Command, Invocation};
use crate::cli::connect;
use crate::flags::{Flag, Values, text};
use crate::output::json::Described;
use crate::output::server::authority::{
    Authorities, AuthorityKind, print_authorities, print_changed, print_upstream,
};
use crate::output::{Fault, Terminal};
use finial_proto::server::localauthority::local_authority_client::LocalAuthorityClient;
use finial_proto::server::localauthority::{
    ActivateJwtAuthorityRequest, ActivateX509AuthorityRequest, AuthorityState, GetJwtAuthorityStateRequest,
    GetX509AuthorityStateRequest, PrepareJwtAuthorityRequest, PrepareX509AuthorityRequest,
    RevokeJwtAuthorityRequest, RevokeX509AuthorityRequest, RevokeX509UpstreamAuthorityRequest,
    TaintJwtAuthorityRequest, TaintX509AuthorityRequest, TaintX509UpstreamAuthorityRequest,
};
use tonic::transport::Channel;

pub(super) static X509_SHOW: Command = server_command!(
    "localauthority x509 show",
    "Shows the local X.509 authorities",
    "Shows the server's X.509 authorities: the active one, which signs, the prepared one, which \
     will, and the old one, which signed before.",
    &[],
    x509_show,
    [("localauthority x509 show", "which authority signs")]
);
pub(super) static JWT_SHOW: Command = server_command!(
    "localauthority jwt show",
    "Shows the local JWT authorities",
    "Shows the server's JWT authorities: the active one, which signs, the prepared one, which will, \
     and the old one, which signed before.",
    &[],
    jwt_show,
    [("localauthority jwt show", "which authority signs")]
);

/// An authority of a response, with what was done to it.
struct Changed<'a> {
    kind: AuthorityKind,
    done: &'static str,
    authority: Option<&'a AuthorityState>,
}

fn client(flags: &Values) -> Result<LocalAuthorityClient<Channel>, Fault> {
    Ok(LocalAuthorityClient::new(connect::to_server(flags)?))
}

fn wanted_authority(flags: &Values) -> Result<String, Fault> {
    let id = flags.some_text("authorityID").ok_or_else(|| Fault::new("an authority ID is required"))?;
    Ok(id.to_owned())
}

fn wanted_subject_key(flags: &Values) -> Result<String, Fault> {
    let id = flags.some_text("subjectKeyID");
    let id =
        id.ok_or_else(|| Fault::new("the Subject Key ID of the X.509 upstream authority is required"))?;
    Ok(id.to_owned())
}

fn show(
    terminal: &mut Terminal,
    flags: &Values,
    response: &impl Described,
    kind: AuthorityKind,
    authorities: Authorities<'_>,
) -> Result<(), Fault> {
    terminal
        .show(flags.format(), response, |terminal| print_authorities(&mut terminal.out, kind, authorities))
}

fn show_changed(
    terminal: &mut Terminal,
    flags: &Values,
    response: &impl Described,
    changed: &Changed<'_>,
) -> Result<(), Fault> {
    terminal.show(flags.format(), response, |terminal| {
        print_changed(&mut terminal.out, changed.kind, changed.done, changed.authority)
    })
}

async fn x509_show(invocation: Invocation<'_>) -> Result<(), Fault> {
    let Invocation { flags, terminal } = invocation;
    let response = client(flags)?
        .get_x509_authority_state(GetX509AuthorityStateRequest {})
        .await
        .map_err(|status| Fault::of_call_while("could not get X.509 authorities", &status))?
        .into_inner();
    let authorities = Authorities {
        active: response.active.as_ref(),
        prepared: response.prepared.as_ref(),
        old: response.old.as_ref(),
    };
    show(terminal, flags, &response, AuthorityKind::X509, authorities)
}

async fn jwt_show(invocation: Invocation<'_>) -> Result<(), Fault> {
    let Invocation { flags, terminal } = invocation;
    let response = client(flags)?
        .get_jwt_authority_state(GetJwtAuthorityStateRequest {})
        .await
        .map_err(|status| Fault::of_call_while("could not get JWT authorities", &status))?
        .into_inner();
    let authorities = Authorities {
        active: response.active.as_ref(),
        prepared: response.prepared.as_ref(),
        old: response.old.as_ref(),
    };
    show(terminal, flags, &response, AuthorityKind::Jwt, authorities)
}

/// A command that changes an authority of one kind.
macro_rules! authority_command {
    (
        $name:ident, $act:ident, $path:literal, $synopsis:literal, $about:literal, $example:expr, $own:expr,
        $method:ident($request:expr), $doing:literal, $kind:ident $done:literal $field:ident
    ) => {
        pub(super) static $name: Command = server_command!($path, $synopsis, $about, $own, $act, [$example]);

        async fn $act(invocation: Invocation<'_>) -> Result<(), Fault> {
            let Invocation { flags, terminal } = invocation;
            let mut client = client(flags)?;
            let request: fn(&Values) -> Result<_, Fault> = $request;
            let answer = client.$method(request(flags)?).await;
            let answer = answer.map_err(|status| Fault::of_call_while($doing, &status))?.into_inner();
            let changed =
                Changed { kind: AuthorityKind::$kind, done: $done, authority: answer.$field.as_ref() };
            show_changed(terminal, flags, &answer, &changed)
        }
    };
}

const fn authority_id(help: &'static str) -> Flag {
    text("authorityID", help)
}

authority_command! {
    X509_PREPARE, x509_prepare, "localauthority x509 prepare",
    "Prepares a new X.509 authority for use by generating a new key and injecting the resulting CA certificate into the bundle",
    "Makes a new X.509 authority and publishes it in the bundle, so that everybody knows it before \
     it signs.",
    ("localauthority x509 prepare", "the first of the steps prepare, activate, taint, revoke"),
    &[],
    prepare_x509_authority(|_| Ok(PrepareX509AuthorityRequest {})),
    "could not prepare X.509 authority", X509 "prepared" prepared_authority
}
authority_command! {
    X509_ACTIVATE, x509_activate, "localauthority x509 activate",
    "Activates a prepared X.509 authority for use, which will cause it to be used for all X.509 signing operations serviced by this server going forward",
    "Makes the prepared X.509 authority the one that signs. The one that signed before becomes the \
     old one.",
    ("localauthority x509 activate -authorityID 0102…", "sign with the prepared authority"),
    &[authority_id("The authority ID of the X.509 authority to activate")],
    activate_x509_authority(|flags| Ok(ActivateX509AuthorityRequest { authority_id: wanted_authority(flags)? })),
    "could not activate X.509 authority", X509 "activated" activated_authority
}
authority_command! {
    X509_TAINT, x509_taint, "localauthority x509 taint",
    "Marks the previously active X.509 authority as being tainted",
    "Says that the old X.509 authority is not to be used any more: agents replace what it signed.",
    ("localauthority x509 taint -authorityID 0102…", "stop using the old authority"),
    &[authority_id("The authority ID of the X.509 authority to taint")],
    taint_x509_authority(|flags| Ok(TaintX509AuthorityRequest { authority_id: wanted_authority(flags)? })),
    "could not taint X.509 authority", X509 "tainted" tainted_authority
}
authority_command! {
    X509_REVOKE, x509_revoke, "localauthority x509 revoke",
    "Revokes the previously active X.509 authority by removing it from the bundle and propagating this update throughout the cluster",
    "Takes the old X.509 authority out of the bundle: nobody trusts it any more.",
    ("localauthority x509 revoke -authorityID 0102…", "stop trusting the old authority"),
    &[authority_id("The authority ID of the X.509 authority to revoke")],
    revoke_x509_authority(|flags| Ok(RevokeX509AuthorityRequest { authority_id: wanted_authority(flags)? })),
    "could not revoke X.509 authority", X509 "revoked" revoked_authority
}
authority_command! {
    JWT_PREPARE, jwt_prepare, "localauthority jwt prepare",
    "Prepares a new JWT authority for use by generating a new key and injecting it into the bundle",
    "Makes a new JWT authority and publishes it in the bundle, so that everybody knows it before it \
     signs.",
    ("localauthority jwt prepare", "the first of the steps prepare, activate, taint, revoke"),
    &[],
    prepare_jwt_authority(|_| Ok(PrepareJwtAuthorityRequest {})),
    "could not prepare JWT authority", Jwt "prepared" prepared_authority
}
authority_command! {
    JWT_ACTIVATE, jwt_activate, "localauthority jwt activate",
    "Activates a prepared JWT authority for use, which will cause it to be used for all JWT signing operations serviced by this server going forward",
    "Makes the prepared JWT authority the one that signs. The one that signed before becomes the old \
     one.",
    ("localauthority jwt activate -authorityID 0102…", "sign with the prepared authority"),
    &[authority_id("The authority ID of the JWT authority to activate")],
    activate_jwt_authority(|flags| Ok(ActivateJwtAuthorityRequest { authority_id: wanted_authority(flags)? })),
    "could not activate JWT authority", Jwt "activated" activated_authority
}
authority_command! {
    JWT_TAINT, jwt_taint, "localauthority jwt taint",
    "Marks the previously active JWT authority as being tainted",
    "Says that the old JWT authority is not to be used any more: agents replace what it signed.",
    ("localauthority jwt taint -authorityID 0102…", "stop using the old authority"),
    &[authority_id("The authority ID of the JWT authority to taint")],
    taint_jwt_authority(|flags| Ok(TaintJwtAuthorityRequest { authority_id: wanted_authority(flags)? })),
    "could not taint JWT authority", Jwt "tainted" tainted_authority
}
authority_command! {
    JWT_REVOKE, jwt_revoke, "localauthority jwt revoke",
    "Revokes the previously active JWT authority by removing it from the bundle and propagating this update throughout the cluster",
    "Takes the old JWT authority out of the bundle: nobody trusts it any more.",
    ("localauthority jwt revoke -authorityID 0102…", "stop trusting the old authority"),
    &[authority_id("The authority ID of the JWT authority to revoke")],
    revoke_jwt_authority(|flags| Ok(RevokeJwtAuthorityRequest { authority_id: wanted_authority(flags)? })),
    "could not revoke JWT authority", Jwt "revoked" revoked_authority
}

pub(super) static UPSTREAM_TAINT: Command = server_command!(
    "upstreamauthority taint",
    "Marks the provided X.509 upstream authority as being tainted",
    "Says that an authority above this server is not to be used any more: what stands on it is \
     replaced.",
    &[text(
        "subjectKeyID",
        "The X.509 Subject Key Identifier (or SKID) of the authority's CA certificate of the upstream X.509 authority to taint"
    )],
    upstream_taint,
    [("upstreamauthority taint -subjectKeyID 0102…", "stop using an upstream authority")]
);
pub(super) static UPSTREAM_REVOKE: Command = server_command!(
    "upstreamauthority revoke",
    "Revokes the previously active X.509 upstream authority by removing it from the bundle and propagating this update throughout the cluster",
    "Takes a tainted authority above this server out of the bundle.",
    &[text(
        "subjectKeyID",
        "The X.509 Subject Key Identifier (or SKID) of the authority's CA certificate of the X.509 upstream authority to revoke"
    )],
    upstream_revoke,
    [("upstreamauthority revoke -subjectKeyID 0102…", "stop trusting an upstream authority")]
);

async fn upstream_taint(invocation: Invocation<'_>) -> Result<(), Fault> {
    let Invocation { flags, terminal } = invocation;
    let mut client = client(flags)?;
    let request = TaintX509UpstreamAuthorityRequest { subject_key_id: wanted_subject_key(flags)? };
    let response = client
        .taint_x509_upstream_authority(request)
        .await
        .map_err(|status| Fault::of_call_while("could not taint X.509 upstream authority", &status))?
        .into_inner();
    terminal.show(flags.format(), &response, |terminal| {
        print_upstream(&mut terminal.out, "tainted", &response.upstream_authority_subject_key_id)
    })
}

async fn upstream_revoke(invocation: Invocation<'_>) -> Result<(), Fault> {
    let Invocation { flags, terminal } = invocation;
    let mut client = client(flags)?;
    let request = RevokeX509UpstreamAuthorityRequest { subject_key_id: wanted_subject_key(flags)? };
    let response = client
        .revoke_x509_upstream_authority(request)
        .await
        .map_err(|status| Fault::of_call_while("could not revoke X.509 upstream authority", &status))?
        .into_inner();
    terminal.show(flags.format(), &response, |terminal| {
        print_upstream(&mut terminal.out, "revoked", &response.upstream_authority_subject_key_id)
    })
}
