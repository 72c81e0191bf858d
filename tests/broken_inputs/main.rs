//! Every broken recording is read to its end: each fault is told with its reason and position, and nothing else is lost.

#![allow(clippy::unwrap_used)]

mod generator;

use larder::feeds::recording::{Recording, info};
use larder::feeds::{Event, Feed};
use larder_records::{Names, Payload};

#[test]
fn each_fault_is_told_and_nothing_else_is_lost() {
    let folder = tempfile::TempDir::new().unwrap();
    for broken in generator::write(folder.path()) {
        let name = broken.path.file_name().unwrap().to_string_lossy().into_owned();
        let mut names = Names::default();
        let mut recording = Recording::open(&broken.path).unwrap();
        let (mut events, mut faults, mut before) = (0, Vec::new(), None);
        while let Some((position, entry)) = recording.next_entry(&mut names).unwrap() {
            assert!(before < Some(position.offset), "{name}: positions rise");
            assert!(position.offset <= recording.length(), "{name}");
            before = Some(position.offset);
            match entry {
                Ok(_) => events += 1,
                Err(letter) => {
                    assert_eq!(letter.position, position, "{name}");
                    assert!(!letter.detail.is_empty(), "{name}");
                    faults.push(letter.reason);
                }
            }
        }
        assert_eq!(faults, broken.faults, "{name}");
        assert_eq!(events, broken.events, "{name}");
        let told = info(&broken.path).unwrap();
        assert_eq!(told.messages, broken.events as u64, "{name}");
        assert_eq!(told.dead_letters.values().sum::<u64>(), broken.faults.len() as u64, "{name}");
    }
}

#[test]
fn pictures_that_cannot_be_made_out_pass_as_they_are() {
    let folder = tempfile::TempDir::new().unwrap();
    for broken in generator::write(folder.path()).iter().filter(|broken| broken.bad_pictures > 0) {
        let mut names = Names::default();
        let mut recording = Recording::open(&broken.path).unwrap();
        let mut bad = 0;
        while let Some((_, entry)) = recording.next_entry(&mut names).unwrap() {
            if let Ok(Event::Frame(frame)) = entry
                && let Payload::Image(image) = frame.payload
            {
                bad += usize::from(image::load_from_memory(&image.data).is_err());
            }
        }
        assert_eq!(bad, broken.bad_pictures, "{}", broken.path.display());
    }
}
