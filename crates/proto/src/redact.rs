//! `Debug` for the messages that hold a key, a token or a secret, without it.
//!
//! Requests and responses end up in logs by way of `{:?}`. The list is `SECRET` in `build.rs`.
//! Each field must be named here, shown or hidden, so a new one does not compile until it is.

use std::fmt;

/// Prints the length of a secret, and none of it.
struct Hidden(usize);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{} bytes hidden>", self.0)
    }
}

macro_rules! redact {
    ($($message:path { $($shown:ident),* ; $($hidden:ident),+ })+) => { $(
        impl fmt::Debug for $message {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let Self { $($shown,)* $($hidden,)+ } = self;
                f.debug_struct(stringify!($message))
                    $(.field(stringify!($shown), $shown))*
                    $(.field(stringify!($hidden), &Hidden($hidden.len())))+
                    .finish()
            }
        }
    )+ };
}

redact! {
    crate::workload::X509svid { spiffe_id, x509_svid, bundle, hint; x509_svid_key }
    crate::workload::Jwtsvid { spiffe_id, hint; svid }
    crate::workload::Witsvid { spiffe_id, hint; wit_svid, wit_svid_key }
    crate::workload::ValidateJwtsvidRequest { audience; svid }
    crate::types::AttestationData { r#type; payload }
    crate::types::Jwtsvid { id, expires_at, issued_at, hint; token }
    crate::types::JoinToken { expires_at; value }
    crate::types::Witsvid { id, expires_at, issued_at, hint; token }
    crate::server::agent::CreateJoinTokenRequest { ttl, agent_id; token }
    crate::agent::delegated_identity::X509svidWithKey { x509_svid; x509_svid_key }
}
