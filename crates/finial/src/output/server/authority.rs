//! The server's own authorities, and those above it.

use crate::output::{Fault, go_time};
use finial_proto::server::localauthority::AuthorityState;
use std::io::{self, Write};

/// The two kinds of authority that can be told what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AuthorityKind {
    /// Signs certificates.
    X509,
    /// Signs tokens.
    Jwt,
}

impl AuthorityKind {
    /// As in a sentence.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::X509 => "X.509",
            Self::Jwt => "JWT",
        }
    }
}

/// The authorities of a kind by their state.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Authorities<'a> {
    /// It signs.
    pub(crate) active: Option<&'a AuthorityState>,
    /// It will sign next.
    pub(crate) prepared: Option<&'a AuthorityState>,
    /// It has signed.
    pub(crate) old: Option<&'a AuthorityState>,
}

/// The result of `localauthority … show`.
pub(crate) fn print_authorities(
    out: &mut impl Write,
    kind: AuthorityKind,
    authorities: Authorities<'_>,
) -> Result<(), Fault> {
    let Authorities { active, prepared, old } = authorities;
    for (index, (state, authority)) in
        [("active", active), ("prepared", prepared), ("old", old)].iter().enumerate()
    {
        if index > 0 {
            writeln!(out)?;
        }
        let name = kind.name();
        writeln!(out, "{} {name} authority:", capitalised(state))?;
        match authority {
            Some(authority) => print_state(out, kind, authority)?,
            None => writeln!(out, "  No {state} {name} authority found")?,
        }
    }
    Ok(())
}

/// The result of what changes an authority: `done` is `prepared`, `activated`, `tainted` or `revoked`.
pub(crate) fn print_changed(
    out: &mut impl Write,
    kind: AuthorityKind,
    done: &str,
    authority: Option<&AuthorityState>,
) -> Result<(), Fault> {
    let name = kind.name();
    writeln!(out, "{} {name} authority:", capitalised(done))?;
    let authority = authority.ok_or_else(|| {
        Fault::new(format!("internal error: expected to have {done} {name} authority information"))
    })?;
    Ok(print_state(out, kind, authority)?)
}

/// The result of what changes an upstream authority: `done` is `tainted` or `revoked`.
pub(crate) fn print_upstream(out: &mut impl Write, done: &str, subject_key_id: &str) -> Result<(), Fault> {
    writeln!(out, "{} X.509 upstream authority:", capitalised(done))?;
    writeln!(out, "  Subject Key ID: {subject_key_id}")?;
    Ok(())
}

fn print_state(out: &mut impl Write, kind: AuthorityKind, authority: &AuthorityState) -> io::Result<()> {
    writeln!(out, "  Authority ID: {}", authority.authority_id)?;
    writeln!(out, "  Expires at: {}", go_time::utc(authority.expires_at))?;
    match (kind, authority.upstream_authority_subject_key_id.as_str()) {
        (AuthorityKind::Jwt, _) => Ok(()),
        (AuthorityKind::X509, "") => writeln!(out, "  Upstream authority ID: No upstream authority"),
        (AuthorityKind::X509, id) => writeln!(out, "  Upstream authority Subject Key ID: {id}"),
    }
}

fn capitalised(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
