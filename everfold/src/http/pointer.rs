//! JSON Pointer (RFC 6901): a place in a state, read without taking the rest of it apart.

use std::fmt;

use rules::refusal::Refusal;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Number;

/// Steps from the whole to a part, unescaped.
#[derive(Debug)]
pub struct Pointer(Vec<String>);

impl Pointer {
    pub fn parse(text: &str) -> Result<Pointer, Refusal> {
        let mut steps = text.split('/');
        let is_rooted = steps.next() == Some("");
        let steps = steps.map(unescaped).collect::<Option<_>>().filter(|_| is_rooted);
        steps.map(Pointer).ok_or(Refusal::POINTER_MALFORMED)
    }

    /// The number that stands there, if one does.
    pub fn number_in(&self, json: &str) -> Option<Number> {
        Step(&self.0).deserialize(&mut serde_json::Deserializer::from_str(json)).ok().flatten()
    }
}

fn unescaped(step: &str) -> Option<String> {
    let mut pieces = step.split('~');
    let mut text = pieces.next()?.to_owned();
    for piece in pieces {
        let (escaped, rest) = piece.split_at_checked(1)?;
        text.push_str(match escaped {
            "0" => "~",
            "1" => "/",
            _ => return None,
        });
        text.push_str(rest);
    }
    Some(text)
}

/// What is left of the way.
struct Step<'a>(&'a [String]);

impl<'de> DeserializeSeed<'de> for Step<'_> {
    type Value = Option<Number>;

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<Option<Number>, D::Error> {
        value.deserialize_any(self)
    }
}

impl Step<'_> {
    fn arrived(&self, number: Option<Number>) -> Option<Number> {
        number.filter(|_| self.0.is_empty())
    }
}

impl<'de> Visitor<'de> for Step<'_> {
    type Value = Option<Number>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_u64<E>(self, number: u64) -> Result<Option<Number>, E> {
        Ok(self.arrived(Some(number.into())))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Option<Number>, E> {
        Ok(self.arrived(Some(number.into())))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Option<Number>, E> {
        Ok(self.arrived(Number::from_f64(number)))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Option<Number>, E> {
        Ok(None)
    }

    fn visit_str<E>(self, _: &str) -> Result<Option<Number>, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Option<Number>, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Option<Number>, A::Error> {
        let mut found = None;
        if let Some((step, rest)) = self.0.split_first() {
            let index = step.parse::<usize>().ok().filter(|index| index.to_string() == *step);
            for _ in 0..index.unwrap_or(0) {
                if list.next_element::<IgnoredAny>()?.is_none() {
                    return Ok(None);
                }
            }
            if index.is_some() {
                found = list.next_element_seed(Step(rest))?.flatten();
            }
        }
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(found)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Option<Number>, A::Error> {
        let mut found = None;
        while let Some(name) = map.next_key::<String>()? {
            match self.0.split_first() {
                Some((step, rest)) if *step == name => found = map.next_value_seed(Step(rest))?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_finds_the_numbers_of_a_state_and_nothing_else() {
        let state = r#"{"total": 7, "": -1, "a/b": {"m~n": [0.5, [18446744073709551615]]}, "text": "7", "no": null,
            "yes": true, "list": [1, 2]}"#;
        let at =
            |path: &str| Pointer::parse(path).expect("a pointer").number_in(state).map(|number| number.to_string());
        for (path, number) in [
            ("/total", "7"),
            ("/", "-1"),
            ("/a~1b/m~0n/0", "0.5"),
            ("/a~1b/m~0n/1/0", "18446744073709551615"),
            ("/list/1", "2"),
        ] {
            assert_eq!(at(path).as_deref(), Some(number), "{path}");
        }
        for path in ["", "/text", "/no", "/yes", "/list", "/list/2", "/list/01", "/list/-", "/total/x", "/text/0", "/x"]
        {
            assert_eq!(at(path), None, "{path}");
        }
        assert_eq!(Pointer::parse("").expect("the whole").number_in("3"), Some(3.into()));
        for path in ["total", "/~", "/~2", "a/b", " /a", "/é~"] {
            assert!(Pointer::parse(path).is_err(), "{path}");
        }
    }
}
