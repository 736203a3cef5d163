//! Federation relationships.

use super::bundles::{BundleConvertError, bundle_from_proto, bundle_to_proto};
use finial_identity::federation::{EndpointUrlError, check_endpoint_url};
use finial_identity::spiffe_id::SpiffeIdError;
use finial_identity::{BundleEndpointProfile, FederationRelationship, SpiffeId, TrustDomain};
use finial_proto::types;
use finial_proto::types::federation_relationship::BundleEndpointProfile as Profile;

/// Why the message of a relationship was refused. The texts are SPIRE's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RelationshipConvertError {
    /// Bad trust domain.
    #[error("failed to parse trust domain: {0}")]
    TrustDomain(#[source] SpiffeIdError),
    /// Bad URL.
    #[error(transparent)]
    Url(#[from] EndpointUrlError),
    /// Neither of the two profiles.
    #[error("unsupported bundle endpoint profile type: <nil>")]
    NoProfile,
    /// Bad SPIFFE ID of the endpoint.
    #[error("failed to parse endpoint SPIFFE ID: {0}")]
    EndpointId(#[source] SpiffeIdError),
    /// Bad bundle.
    #[error("failed to parse bundle: {0}")]
    Bundle(#[source] BundleConvertError),
    /// The bundle of somebody else.
    #[error(
        "trust domain bundle ({bundle:?}) must match the trust domain of the federation relationship \
         ({relationship:?})"
    )]
    OtherBundle {
        /// Whose bundle it is, as it was written.
        bundle: String,
        /// Whose it should be.
        relationship: String,
    },
}

/// Reads and checks a relationship; whatever a mask says, all of it must be right, as in SPIRE.
pub fn relationship_from_proto(
    message: &types::FederationRelationship,
) -> Result<FederationRelationship, RelationshipConvertError> {
    use RelationshipConvertError as Error;
    let trust_domain = TrustDomain::parse(&message.trust_domain).map_err(Error::TrustDomain)?;
    let bundle_endpoint_url = check_endpoint_url(&message.bundle_endpoint_url)?;
    let profile = match &message.bundle_endpoint_profile {
        Some(Profile::HttpsWeb(_)) => BundleEndpointProfile::HttpsWeb,
        Some(Profile::HttpsSpiffe(profile)) => BundleEndpointProfile::HttpsSpiffe {
            endpoint_id: SpiffeId::parse(&profile.endpoint_spiffe_id).map_err(Error::EndpointId)?,
        },
        None => return Err(Error::NoProfile),
    };
    let bundle = match &message.trust_domain_bundle {
        None => None,
        Some(given) => {
            let bundle = bundle_from_proto(Some(given)).map_err(Error::Bundle)?;
            if bundle.trust_domain != trust_domain {
                return Err(Error::OtherBundle {
                    bundle: given.trust_domain.clone(),
                    relationship: trust_domain.as_str().to_owned(),
                });
            }
            Some(bundle)
        }
    };
    Ok(FederationRelationship { trust_domain, bundle_endpoint_url, profile, bundle })
}

const MASK_ALL: types::FederationRelationshipMask = types::FederationRelationshipMask {
    bundle_endpoint_url: true,
    bundle_endpoint_profile: true,
    trust_domain_bundle: true,
};

/// The message of a relationship, with the fields of the mask. The trust domain is always there.
pub fn relationship_to_proto(
    relationship: &FederationRelationship,
    mask: Option<&types::FederationRelationshipMask>,
) -> types::FederationRelationship {
    let mask = mask.unwrap_or(&MASK_ALL);
    let profile = match &relationship.profile {
        BundleEndpointProfile::HttpsWeb => Profile::HttpsWeb(types::HttpsWebProfile {}),
        BundleEndpointProfile::HttpsSpiffe { endpoint_id } => {
            Profile::HttpsSpiffe(types::HttpsspiffeProfile { endpoint_spiffe_id: endpoint_id.to_string() })
        }
    };
    let url = if mask.bundle_endpoint_url { relationship.bundle_endpoint_url.as_str() } else { "" };
    let bundle = relationship.bundle.as_ref().filter(|_| mask.trust_domain_bundle);
    types::FederationRelationship {
        trust_domain: relationship.trust_domain.as_str().to_owned(),
        bundle_endpoint_url: url.to_owned(),
        bundle_endpoint_profile: mask.bundle_endpoint_profile.then_some(profile),
        trust_domain_bundle: bundle.map(|bundle| bundle_to_proto(bundle, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> types::FederationRelationship {
        types::FederationRelationship {
            trust_domain: "spiffe://other.test".to_owned(),
            bundle_endpoint_url: "HTTPS://other.test/b".to_owned(),
            bundle_endpoint_profile: Some(Profile::HttpsSpiffe(types::HttpsspiffeProfile {
                endpoint_spiffe_id: "spiffe://third.test/e".to_owned(),
            })),
            trust_domain_bundle: Some(types::Bundle {
                trust_domain: "other.test".to_owned(),
                refresh_hint: 60,
                ..Default::default()
            }),
        }
    }

    #[test]
    fn there_and_back_by_mask() {
        let relationship = relationship_from_proto(&message()).unwrap();
        let whole = types::FederationRelationship {
            trust_domain: "other.test".to_owned(),
            bundle_endpoint_url: "https://other.test/b".to_owned(),
            ..message()
        };
        assert_eq!(relationship_to_proto(&relationship, None), whole);
        let name_only = types::FederationRelationship {
            trust_domain: "other.test".to_owned(),
            ..types::FederationRelationship::default()
        };
        let nothing = types::FederationRelationshipMask::default();
        assert_eq!(relationship_to_proto(&relationship, Some(&nothing)), name_only);
        let mask = types::FederationRelationshipMask { bundle_endpoint_profile: true, ..nothing };
        let want = types::FederationRelationship {
            bundle_endpoint_profile: whole.bundle_endpoint_profile,
            ..name_only
        };
        assert_eq!(relationship_to_proto(&relationship, Some(&mask)), want);
    }

    #[test]
    fn refusals_in_spires_words() {
        let id = |text: &str| {
            Some(Profile::HttpsSpiffe(types::HttpsspiffeProfile { endpoint_spiffe_id: text.to_owned() }))
        };
        let bundle = |name: &str| types::Bundle { trust_domain: name.to_owned(), ..Default::default() };
        let cases = [
            (
                types::FederationRelationship { trust_domain: String::new(), ..message() },
                "failed to parse trust domain: trust domain is missing",
            ),
            (
                types::FederationRelationship { bundle_endpoint_url: "http://x".to_owned(), ..message() },
                "bundle endpoint URL must use the https scheme",
            ),
            (
                types::FederationRelationship { bundle_endpoint_profile: None, ..message() },
                "unsupported bundle endpoint profile type: <nil>",
            ),
            (
                types::FederationRelationship { bundle_endpoint_profile: id(""), ..message() },
                "failed to parse endpoint SPIFFE ID: cannot be empty",
            ),
            (
                types::FederationRelationship {
                    trust_domain_bundle: Some(bundle("third.test")),
                    ..message()
                },
                "trust domain bundle (\"third.test\") must match the trust domain of the federation relationship \
                 (\"other.test\")",
            ),
            (
                types::FederationRelationship { trust_domain_bundle: Some(bundle("X")), ..message() },
                "failed to parse bundle: invalid trust domain: trust domain characters are limited to lowercase \
                 letters, numbers, dots, dashes, and underscores",
            ),
        ];
        for (message, want) in cases {
            assert_eq!(relationship_from_proto(&message).unwrap_err().to_string(), want);
        }
    }
}
