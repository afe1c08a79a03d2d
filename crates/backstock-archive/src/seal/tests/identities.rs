//! Identities: passphrases open their slots and no others, documents are bound to their roots, hostile ones are refused.

use backstock_vocabulary::{IdentityId, InstanceId};
use jiff::Timestamp;

use super::Predictable;
use crate::seal::{
    Certificate, Identity, Passphrase, PrivateIdentity, SlotCost, Suite, parse_certificate_name,
    parse_identity_name,
};
use crate::{Digest, Error};

fn phrase(text: &str) -> Passphrase {
    Passphrase::typed(text.to_owned())
}

fn made() -> (Predictable, PrivateIdentity, Identity) {
    let random = Predictable::of(1);
    let id = IdentityId::from_parts(1_795_000_000_000, [0xab; 10]);
    let private = PrivateIdentity::new(&random, id, Suite::XWing);
    let public = private.public(Timestamp::UNIX_EPOCH).unwrap();
    let cost = SlotCost::of_tests();
    let public = public.with_passphrase(&random, cost, &private, &phrase("correct horse")).unwrap();
    (random, private, public)
}

#[test]
fn a_passphrase_opens_its_slot_and_another_does_not() {
    let (random, private, public) = made();
    assert_eq!(public.name(), "identity-abababab-1.json");
    let bytes = public.sign(&private).unwrap();
    let read = Identity::parse(&bytes, &public.name()).unwrap();
    assert_eq!(read, public);
    assert!(read.unlock(&phrase("correct horse")).unwrap().is_some());
    for other in ["", "correct hors", "correct horse ", "Correct horse"] {
        assert!(read.unlock(&phrase(other)).unwrap().is_none(), "{other:?}");
    }
    let changed =
        read.next().with_passphrase(&random, SlotCost::of_tests(), &private, &phrase("another one")).unwrap();
    assert_eq!((changed.version, changed.slots.len()), (2, 1));
    assert_eq!(changed.fingerprint(), public.fingerprint());
    assert!(changed.unlock(&phrase("correct horse")).unwrap().is_none());
    assert!(changed.unlock(&phrase("another one")).unwrap().is_some());
}

/// F77.
#[test]
fn f77_empty_and_short_passphrases_are_refused() {
    let (random, private, public) = made();
    for bad in ["", " ", "\t  \n", "seven77", "ééééééé", &"x".repeat(1025)] {
        let made = public.with_passphrase(&random, SlotCost::of_tests(), &private, &phrase(bad));
        assert!(matches!(made, Err(Error::Passphrase { .. })), "{bad:?}");
    }
    assert!(phrase("same").is_same(&phrase("same")) && !phrase("same").is_same(&phrase("Same")));
}

/// The product has no way to a cheaper slot than this.
#[test]
fn the_usual_cost_is_what_is_promised() {
    let (random, private, public) = made();
    let public =
        public.with_passphrase(&random, SlotCost::default(), &private, &phrase("long enough")).unwrap();
    let slot = serde_json::to_value(&public.slots[0]).unwrap();
    assert_eq!((&slot["kind"], &slot["memory_kib"]), (&"argon2id".into(), &(256 << 10).into()));
    assert!(slot["passes"].as_u64().unwrap() >= 3);
}

#[test]
fn hostile_slots_are_refused_before_they_cost_anything() {
    let (_, private, public) = made();
    let with = |name: &str, value: serde_json::Value| {
        let mut slot = serde_json::to_value(&public.slots[0]).unwrap();
        slot[name] = value;
        let mut changed = public.clone();
        changed.slots = vec![serde_json::from_value(slot).unwrap()];
        Identity::parse(&changed.sign(&private).unwrap(), &changed.name())
    };
    for (name, value) in [
        ("memory_kib", 0_u32),
        ("memory_kib", 8191),
        ("memory_kib", (1 << 20) + 1),
        ("memory_kib", u32::MAX),
        ("passes", 0),
        ("passes", 17),
        ("passes", u32::MAX),
        ("lanes", 0),
        ("lanes", 9),
    ] {
        let error = with(name, value.into()).unwrap_err();
        assert!(error.is_damage(), "{name} {value}: {error}");
    }
    assert!(with("sealed", "AAAA".into()).unwrap_err().is_damage());
    assert!(matches!(with("kind", "scrypt".into()), Err(Error::NewerFormat { .. })));
    let mut crowd = public.clone();
    crowd.slots = vec![public.slots[0].clone(); 17];
    assert!(Identity::parse(&crowd.sign(&private).unwrap(), &crowd.name()).unwrap_err().is_damage());
}

#[test]
fn documents_are_bound_to_their_root_their_name_and_their_kind() {
    let (random, private, public) = made();
    let bytes = public.sign(&private).unwrap();
    let at = bytes.iter().position(|byte| *byte == b'7').unwrap();
    let mut changed = bytes.clone();
    changed[at] = b'8';
    assert!(Identity::parse(&changed, &public.name()).is_err());
    assert!(Identity::parse(&bytes, "identity-abababab-2.json").unwrap_err().is_damage());
    let stranger = PrivateIdentity::new(&random, private.id(), Suite::XWing);
    assert!(public.require_half(&stranger).unwrap_err().is_damage());
    // A slot taken from one identity into another opens nothing.
    let other = stranger.public(Timestamp::UNIX_EPOCH).unwrap();
    let mut planted = other;
    planted.slots = public.slots.clone();
    assert!(planted.unlock(&phrase("correct horse")).unwrap().is_none());
    let instance = InstanceId::from_parts(0, [9; 10]);
    let certificate = private.certify(instance, Digest([5; 32]), Timestamp::UNIX_EPOCH).unwrap();
    let read = Certificate::parse(&certificate, "c").unwrap();
    assert_eq!((read.instance, read.signer), (instance, public.signer));
    assert_eq!(read.name(), "certificate-abababab-09090909.json");
    assert!(Certificate::parse(&bytes, "c").is_err() && Identity::parse(&certificate, "i").is_err());
}

#[test]
fn a_private_half_goes_through_its_file_and_other_files_are_refused() {
    let (_, private, public) = made();
    let file = private.to_file().unwrap();
    public.require_half(&PrivateIdentity::of_file(&file, "f").unwrap()).unwrap();
    let text = String::from_utf8(file.to_vec()).unwrap();
    let changed = [
        text[..text.len() / 2].to_owned(),
        text.replace("private_key", "public_key"),
        text.replace("private-identity", "identity"),
        text.replacen("\":\"", "\":\"0", 5),
        String::new(),
    ];
    for text in changed {
        assert!(PrivateIdentity::of_file(text.as_bytes(), "f").is_err(), "{text}");
    }
}

#[test]
fn names_go_both_ways() {
    assert_eq!(parse_identity_name("identity-abababab-12.json"), Some(("abababab", 12)));
    for other in
        ["identity-abababab-012.json", "identity-abab-1.json", "identity-abababab.json", "owner-1.json"]
    {
        assert_eq!(parse_identity_name(other), None, "{other}");
    }
    assert_eq!(parse_certificate_name("certificate-abababab-09090909.json"), Some(("abababab", "09090909")));
    assert_eq!(parse_certificate_name("certificate-x-y.json"), None);
}
