//! Keys and values that are not known.

/// What is wrong, in words: for a key or value that is not known, with the nearest that is.
pub(super) fn explained(problem: &str) -> String {
    let problem = problem.trim_end();
    let told = ["field", "variant"]
        .iter()
        .zip(["key", "value"])
        .find_map(|(theirs, ours)| Some((ours, problem.strip_prefix("unknown ")?.strip_prefix(theirs)?)));
    let Some((kind, told)) = told else { return problem.to_owned() };
    let mut quoted = told.split('`').skip(1).step_by(2);
    let Some(unknown) = quoted.next() else { return problem.to_owned() };
    let known: Vec<&str> = quoted.collect();
    let likeness = |word: &&&str| (strsim::normalized_damerau_levenshtein(unknown, word) * 1e6) as u64;
    match known.iter().max_by_key(likeness) {
        Some(nearest) => format!("unknown {kind} {unknown:?}; the nearest is {nearest:?} of {}", known.join(", ")),
        None => format!("unknown {kind} {unknown:?}"),
    }
}

/// Every key, for the test that the example names it.
#[cfg(test)]
pub(super) const ALL: [&str; 33] = [
    "lake",
    "catalogue",
    "scenes",
    "vision",
    "workers",
    "cluster]",
    "processes",
    "kafka]",
    "brokers",
    "group",
    "from",
    "memory_mib",
    "record_limit",
    "patience_seconds",
    "pictures",
    "picture_limit",
    "dead_letter_topic",
    "sightings_topic",
    "kafka.topics]",
    "kafka.properties]",
    "epoch]",
    "events",
    "mib",
    "milliseconds",
    "commit]",
    "history]",
    "days",
    "changes]",
    "topic",
    "actions_topic",
    "metrics]",
    "address",
    "kitchens",
];
