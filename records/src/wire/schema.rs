//! The messages' own descriptions, for files that carry their schemas along.

use prost::Message as _;
use prost_types::FileDescriptorSet;

/// The `FileDescriptorSet` of every message here, well-known types included.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// The `FileDescriptorSet` that describes one message, such as `larder.v1.Reading`: its file and those that it imports,
/// imports first. Empty where there is no such message.
pub fn schema(message: &str) -> Vec<u8> {
    let all = FileDescriptorSet::decode(DESCRIPTORS).unwrap_or_default();
    let (package, name) = message.rsplit_once('.').unwrap_or(("", message));
    let home = all
        .file
        .iter()
        .find(|file| file.package() == package && file.message_type.iter().any(|known| known.name() == name));
    let mut needed: Vec<&str> = home.iter().map(|file| file.name()).collect();
    let mut next = 0;
    while let Some(file) = needed.get(next).and_then(|name| all.file.iter().find(|file| file.name() == *name)) {
        next += 1;
        for import in &file.dependency {
            if !needed.contains(&import.as_str()) {
                needed.push(import);
            }
        }
    }
    // The compiler lists imports before what imports them.
    let file = all.file.iter().filter(|file| needed.contains(&file.name())).cloned().collect();
    FileDescriptorSet { file }.encode_to_vec()
}
