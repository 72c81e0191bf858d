//! What commands that talk to Kafka ask for alike.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use anyhow::Context as _;
use clap::Args;
use larder::{
    config::Config,
    feeds::kafka::{Carries, Connection, MAX_RECORD_BYTES, Options, Start, Topic},
};

/// How brokers are reached.
#[derive(Debug, Args)]
pub(super) struct Reach {
    /// Brokers asked first for all others: host:port, separated by commas
    #[arg(long)]
    brokers: Option<String>,
    /// Take brokers and properties (and topics, where none is given) from a configuration of larder run
    #[arg(long, value_name = "FILE", conflicts_with = "brokers")]
    config: Option<PathBuf>,
    /// A property of librdkafka
    #[arg(long = "property", value_name = "NAME=VALUE", value_parser = pair, requires = "brokers")]
    properties: Vec<(String, String)>,
}

pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("not NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// `NAME` or `NAME=KIND`.
fn topic(text: &str) -> Result<Topic, String> {
    let (name, carries) = text
        .split_once('=')
        .map_or(Ok((text, Carries::default())), |(name, kind)| Ok::<_, String>((name, kind.parse()?)))?;
    Ok(Topic { name: name.to_owned(), carries, partitions: None })
}

/// Which topics, and from where.
#[derive(Debug, Args)]
pub(super) struct Reading {
    #[command(flatten)]
    reach: Reach,
    /// A topic, and what its records are where that is not frames: declared, products, appliances,
    /// corrections, truth
    #[arg(long = "topic", value_name = "NAME[=KIND]", value_parser = topic)]
    topics: Vec<Topic>,
    /// From where: earliest, latest, an offset, or a time such as 2026-03-01T18:00:00Z
    #[arg(long, default_value = "earliest")]
    from: Start,
}

impl Reading {
    /// Everything there is to know for reading, whatever a lake knows.
    pub(super) fn options(self) -> anyhow::Result<Options> {
        let Self { reach, topics, from } = self;
        let mut options = match (&reach.config, reach.brokers) {
            (Some(path), _) => Config::read(path)?.source(Some(from)),
            (None, Some(brokers)) => Options {
                connection: Connection {
                    brokers,
                    properties: reach.properties.into_iter().collect::<BTreeMap<_, _>>(),
                },
                topics: Vec::new(),
                group: None,
                start: from,
                anew: true,
                memory: 128 << 20,
                record_limit: MAX_RECORD_BYTES,
                pictures: None,
                patience: Duration::from_secs(30),
            },
            (None, None) => anyhow::bail!("say which --brokers, or give a --config"),
        };
        // names are recorded, not what they name
        options.pictures = None;
        if !topics.is_empty() {
            options.topics = topics;
        }
        options.topics.first().context("say which --topic")?;
        Ok(options)
    }
}
