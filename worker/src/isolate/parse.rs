//! Parses the JSON bodies of a fold natively, once, into the compact form that the guest builds values from.
//!
//! What this parser refuses is not refused: the guest gets the text alone, and its own parser has the word.

use std::{collections::BTreeMap, fmt};

use rules::{
    call::{Bytes, Foldable, Parsed, Request},
    compact,
};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// The bodies of these requests, as far as they are JSON and say so.
pub fn parse(requests: &[Foldable]) -> Parsed {
    let mut names = Names::default();
    let bodies =
        requests.iter().map(|foldable| Bytes(body(&foldable.request, &mut names).unwrap_or_default())).collect();
    Parsed { names: names.texts, bodies }
}

fn body(request: &Request, names: &mut Names) -> Option<Vec<u8>> {
    let text = &request.body.0;
    if text.is_empty() || !claims_json(request) {
        return None;
    }
    let mut form = Vec::with_capacity(text.len());
    let known = names.texts.len();
    let mut parser = serde_json::Deserializer::from_slice(text);
    let parsed = Value { form: &mut form, names }.deserialize(&mut parser).and_then(|()| parser.end());
    if parsed.is_err() {
        names.forget_from(known);
        return None;
    }
    Some(form)
}

/// Only a hint: the guest looks at the type itself.
fn claims_json(request: &Request) -> bool {
    let value = request.headers.iter().find(|(name, _)| name == "content-type").map(|(_, value)| &value.0);
    value.is_some_and(|value| value.windows(4).any(|four| four.eq_ignore_ascii_case(b"json")))
}

#[derive(Default)]
struct Names {
    texts: Vec<String>,
    places: BTreeMap<String, u64>,
}

impl Names {
    fn place(&mut self, name: &str) -> u64 {
        if let Some(place) = self.places.get(name) {
            return *place;
        }
        self.texts.push(name.to_owned());
        let place = self.texts.len() as u64;
        self.places.insert(name.to_owned(), place);
        place
    }

    fn forget_from(&mut self, known: usize) {
        for text in self.texts.drain(known..) {
            self.places.remove(&text);
        }
    }
}

/// Writes the next value.
struct Value<'a> {
    form: &'a mut Vec<u8>,
    names: &'a mut Names,
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.form.push(compact::NULL);
        Ok(())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.form.push(if value { compact::TRUE } else { compact::FALSE });
        Ok(())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        match i32::try_from(value) {
            Ok(value) => self.visit_i64(value.into()),
            // Rounded to the nearest, as JavaScript reads it.
            Err(_) => self.visit_f64(value as f64),
        }
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        match i32::try_from(value) {
            Ok(value) => {
                self.form.push(compact::INTEGER);
                self.form.extend_from_slice(&value.to_le_bytes());
                Ok(())
            }
            Err(_) => self.visit_f64(value as f64),
        }
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.form.push(compact::FLOAT);
        self.form.extend_from_slice(&value.to_le_bytes());
        Ok(())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        self.form.push(compact::TEXT);
        compact::put_number(self.form, value.len() as u64);
        self.form.extend_from_slice(value.as_bytes());
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        self.form.push(compact::ARRAY);
        while items.next_element_seed(Value { form: self.form, names: self.names })?.is_some() {}
        self.form.push(compact::END);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        self.form.push(compact::OBJECT);
        while entries.next_key_seed(Name { form: self.form, names: self.names })?.is_some() {
            entries.next_value_seed(Value { form: self.form, names: self.names })?;
        }
        compact::put_number(self.form, 0);
        Ok(())
    }
}

/// Writes the name of a property.
struct Name<'a> {
    form: &'a mut Vec<u8>,
    names: &'a mut Names,
}

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<(), E> {
        compact::put_number(self.form, self.names.place(name));
        Ok(())
    }
}
