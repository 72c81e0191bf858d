//! Texts that may name variables of the environment.

use std::{env, fmt::Display, str::FromStr};

use serde::{Deserialize, Deserializer, de::Error as _};

/// A text in which `${NAME}` stands for a variable of the environment, and `$$` for `$`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Text(pub(super) String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        expanded(&text).map(Self).map_err(D::Error::custom)
    }
}

fn expanded(text: &str) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut left = text;
    while let Some(at) = left.find('$') {
        out.push_str(&left[..at]);
        let rest = &left[at + 1..];
        if let Some(rest) = rest.strip_prefix('$') {
            out.push('$');
            left = rest;
        } else if let Some((name, rest)) = rest.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
            out.push_str(&env::var(name).map_err(|_| format!("the environment has no {name}"))?);
            left = rest;
        } else {
            return Err("a $ that is not ${NAME}; write $$ for the sign itself".to_owned());
        }
    }
    out.push_str(left);
    Ok(out)
}

/// The value of a property: a text, a number or a truth value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Property(pub(super) String);

impl<'de> Deserialize<'de> for Property {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match toml::Value::deserialize(from)? {
            toml::Value::String(text) => expanded(&text).map(Self).map_err(D::Error::custom),
            toml::Value::Integer(number) => Ok(Self(number.to_string())),
            toml::Value::Boolean(truth) => Ok(Self(truth.to_string())),
            other => Err(D::Error::custom(format!("a property is a text, a number, true or false, not {other}"))),
        }
    }
}

/// A text that stands for something else, such as `earliest`.
pub(super) fn parsed<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr,
    T::Err: Display,
{
    Text::deserialize(from)?.0.parse().map_err(D::Error::custom)
}
