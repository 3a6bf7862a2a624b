//! SQS answers with MD5 digests, and the SDKs verify them.

use std::collections::BTreeMap;

use md5::{Digest, Md5};

use crate::message::{AttributeValue, MessageAttribute};

pub(crate) fn of_body(body: &str) -> String {
    hex::encode(Md5::digest(body))
}

/// Computes the digest of message attributes in the order of their names. Each has its name, its
/// data type, a byte that tells text (1) from binary (2), and its value. The texts and values come
/// after their lengths in four bytes. Source: "Calculating the MD5 message digest for message
/// attributes" in the SQS developer guide.
pub(crate) fn of_attributes<'a>(
    attributes: impl IntoIterator<Item = (&'a String, &'a MessageAttribute)>,
) -> Option<String> {
    let sorted: BTreeMap<_, _> = attributes.into_iter().collect();
    if sorted.is_empty() {
        return None;
    }
    let mut digest = Md5::new();
    for (name, attribute) in sorted {
        sized(&mut digest, name.as_bytes());
        sized(&mut digest, attribute.data_type.as_bytes());
        let (kind, value) = match &attribute.value {
            AttributeValue::Text(text) => (1, text.as_bytes()),
            AttributeValue::Binary(bytes) => (2, bytes.as_slice()),
        };
        digest.update([kind]);
        sized(&mut digest, value);
    }
    Some(hex::encode(digest.finalize()))
}

fn sized(digest: &mut Md5, bytes: &[u8]) {
    // A message is at most 1 MiB, so the length always fits.
    digest.update((bytes.len() as u32).to_be_bytes());
    digest.update(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> MessageAttribute {
        MessageAttribute {
            data_type: "String".to_owned(),
            value: AttributeValue::Text(value.to_owned()),
        }
    }

    #[test]
    fn a_body_has_the_md5_of_its_utf_8_bytes() {
        assert_eq!(of_body("test"), "098f6bcd4621d373cade4e832627b4f6");
    }

    // The expected digests below were answered by the real service for these attributes.
    #[test]
    fn attributes_are_digested_in_the_order_of_their_names() {
        let one = BTreeMap::from([("Foo".to_owned(), text("Bar"))]);
        assert_eq!(of_attributes(&one).as_deref(), Some("ae7155c6026991b6d54b11589678bf9c"));

        let three = [
            ("Hello".to_owned(), text("There")),
            ("Help.Me".to_owned(), text("Me")),
            ("General".to_owned(), text("Kenobi")),
        ];
        let digest = of_attributes(three.iter().map(|(name, attribute)| (name, attribute)));
        assert_eq!(digest.as_deref(), Some("4c360f3fdafd970e05fae2f149d997f5"));
    }

    #[test]
    fn a_binary_attribute_is_digested_by_its_bytes() {
        let value =
            b"traceparent\x1e00-774062d6c37081a5a0b9b5b88e30627c-2d2482211f6489da-01".to_vec();
        let attribute = MessageAttribute {
            data_type: "Binary".to_owned(),
            value: AttributeValue::Binary(value),
        };
        let digest = of_attributes(&BTreeMap::from([("attr1".to_owned(), attribute)]));
        assert_eq!(digest.as_deref(), Some("8cbe4db156db8a94db8b801b7addb984"));
    }

    #[test]
    fn no_attributes_have_no_digest() {
        assert_eq!(of_attributes(&BTreeMap::new()), None);
    }
}
