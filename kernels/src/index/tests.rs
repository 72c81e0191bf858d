use std::{collections::BTreeMap, sync::OnceLock};

use proptest::prelude::*;

use super::*;
use crate::{
    features::{BinaryFeatures, FloatDescriptors, FloatFeatures, Keypoint},
    homography::Random,
};

/// A number from 0 to 1.
fn unit(random: &mut Random) -> f32 {
    (random.next() >> 40) as f32 / (1_u64 << 24) as f32
}

fn keypoint(random: &mut Random) -> Keypoint {
    let mut number = |from: f32, to: f32| from + (to - from) * unit(random);
    let (x, y) = (number(0.0, 200.0), number(0.0, 300.0));
    Keypoint {
        x,
        y,
        size: number(4.0, 30.0),
        angle: number(0.0, std::f32::consts::TAU),
        response: 1.0,
        octave: 0,
        level: 0,
    }
}

fn values(random: &mut Random) -> Vec<f32> {
    let values: Vec<f32> = (0..64).map(|_| unit(random) + unit(random) - 1.0).collect();
    let length = values.iter().map(|value| value * value).sum::<f32>().sqrt();
    values.iter().map(|value| value / length).collect()
}

/// Features of the look `look` of a product: all its own.
fn look(kind: Kind, look: u64, features: usize) -> Described {
    let mut random = Random::new(look.wrapping_mul(7919));
    let keypoints: Vec<Keypoint> = (0..features).map(|_| keypoint(&mut random)).collect();
    match kind {
        Kind::Float => {
            let all = (0..features).flat_map(|_| values(&mut random)).collect();
            let descriptors = FloatDescriptors::from_values(64, all).unwrap();
            Described::from_float(&FloatFeatures { keypoints, descriptors }, 200, 300).unwrap()
        }
        Kind::Binary => {
            let bits =
                || std::array::from_fn(|word| if word < 7 { random.next() } else { random.next() & 0x3f_ffff_ffff });
            let descriptors = std::iter::repeat_with(bits).take(features).collect();
            Described::from_binary(&BinaryFeatures { keypoints, descriptors }, 200, 300).unwrap()
        }
    }
}

/// A picture that shows `shown` turned by 0.3, zoomed by 1.5 and moved, its descriptors a little changed, among other things.
fn picture_of(shown: &Described, clutter: u64) -> Described {
    let mut random = Random::new(clutter);
    let mut picture = look(shown.kind, clutter ^ 0xffff_0000, 40);
    let (sin, cos) = libm::sincosf(0.3);
    for (point, code) in shown.keypoints.iter().zip(&shown.codes) {
        let (x, y) = (1.5 * (cos * point.x - sin * point.y) + 150.0, 1.5 * (sin * point.x + cos * point.y) + 20.0);
        picture.keypoints.push(Keypoint { x, y, size: point.size * 1.5, angle: point.angle + 0.3, ..*point });
        picture.codes.push(match shown.kind {
            Kind::Float => code.map(|byte| (byte as i8).saturating_add(random.below(9) as i8 - 4) as u8),
            Kind::Binary => {
                let mut code = *code;
                (0..20).for_each(|_| code[random.below(60)] ^= 1 << random.below(8));
                code
            }
        });
    }
    picture
}

fn vocabulary(kind: Kind) -> &'static Vocabulary {
    static FLOAT: OnceLock<Vocabulary> = OnceLock::new();
    static BINARY: OnceLock<Vocabulary> = OnceLock::new();
    let cell = if kind == Kind::Float { &FLOAT } else { &BINARY };
    cell.get_or_init(|| {
        let codes: Vec<Code> = (0..40).flat_map(|id| look(kind, id, 40).codes).collect();
        Vocabulary::train(kind, &codes, &Training { branches: Some(6), ..Training::default() }).unwrap()
    })
}

fn kinds() -> impl Strategy<Value = Kind> {
    prop_oneof![Just(Kind::Float), Just(Kind::Binary)]
}

fn built_from_nothing(kind: Kind, products: &BTreeMap<u64, u64>) -> ProductIndex {
    let mut index = ProductIndex::new(vocabulary(kind).clone());
    for (&id, &which) in products {
        index.add(id, &look(kind, which, 30), Colours::UNKNOWN).unwrap();
    }
    index
}

/// All that an index says of some pictures.
fn answers(index: &ProductIndex, kind: Kind, looks: &[u64]) -> Vec<(Vec<Ranked>, Vec<Recognised>)> {
    let mut scratch = SearchScratch::default();
    let how = Recognition::default();
    looks
        .iter()
        .map(|&which| {
            let picture = picture_of(&look(kind, which, 30), which);
            let ranked = index.search(&picture, &how.voting, &mut scratch).unwrap();
            (ranked, index.recognise(&picture, None, &how, &mut scratch).unwrap())
        })
        .collect()
}

#[derive(Clone, Debug)]
enum Step {
    Add(u64, u64),
    AddMany(Vec<(u64, u64)>),
    Remove(u64),
    Reopen,
    Append,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let product = || (0_u64..12, 0_u64..30);
    let step = prop_oneof![
        4 => product().prop_map(|(id, which)| Step::Add(id, which)),
        1 => prop::collection::vec(product(), 0..8).prop_map(Step::AddMany),
        3 => (0_u64..12).prop_map(Step::Remove),
        1 => Just(Step::Reopen),
        2 => Just(Step::Append),
    ];
    prop::collection::vec(step, 0..24)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn after_any_history_answers_are_those_of_an_index_built_from_nothing(kind in kinds(), steps in steps()) {
        let mut index = ProductIndex::new(vocabulary(kind).clone());
        let mut file = Vec::new();
        index.save(&mut file).unwrap();
        let mut products = BTreeMap::new();
        for step in steps {
            match step {
                Step::Add(id, which) => {
                    index.add(id, &look(kind, which, 30), Colours::UNKNOWN).unwrap();
                    products.insert(id, which);
                }
                Step::AddMany(many) => {
                    let looks: Vec<_> = many.iter().map(|&(id, which)| (id, look(kind, which, 30))).collect();
                    let rows: Vec<_> = looks.iter().map(|(id, look)| (*id, look, Colours::UNKNOWN)).collect();
                    index.add_all(&rows).unwrap();
                    products.extend(many);
                }
                Step::Remove(id) => prop_assert_eq!(index.remove(id), products.remove(&id).is_some()),
                Step::Reopen => {
                    file.clear();
                    index.save(&mut file).unwrap();
                    index = ProductIndex::open(file.clone().into()).unwrap();
                }
                Step::Append => {
                    index.append(&mut file).unwrap();
                    let read = ProductIndex::open(file.clone().into()).unwrap();
                    prop_assert_eq!(read.products().collect::<Vec<_>>(), index.products().collect::<Vec<_>>());
                }
            }
            prop_assert_eq!(index.products().collect::<Vec<_>>(), products.keys().copied().collect::<Vec<_>>());
        }
        index.append(&mut file).unwrap();
        let looks = [1, 5, 17];
        let expected = answers(&built_from_nothing(kind, &products), kind, &looks);
        prop_assert_eq!(&answers(&index, kind, &looks), &expected);
        prop_assert_eq!(&answers(&ProductIndex::open(file.clone().into()).unwrap(), kind, &looks), &expected);
    }

    #[test]
    fn a_flipped_byte_is_an_error(at in any::<prop::sample::Index>(), flip in 1_u8..) {
        let file = saved();
        let mut broken = file.clone();
        let at = at.index(file.len());
        broken[at] ^= flip;
        prop_assert!(ProductIndex::open(broken.into()).is_err(), "{at}");
    }

    #[test]
    fn a_cut_file_is_an_error(at in any::<prop::sample::Index>()) {
        let file = saved();
        let at = at.index(file.len());
        prop_assert_eq!(ProductIndex::open(Bytes::copy_from_slice(&file[..at])).err(), Some(IndexError::Truncated { at: 0 }));
    }

    #[test]
    fn any_payload_with_right_checksums_is_an_error_or_an_index_that_answers(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), any::<bool>()), 1..6),
    ) {
        let mut file = saved().clone();
        // Byte for byte of the segment, or of its header of counts.
        let (_, _, segment) = file::read(&file, 0, 0).unwrap();
        let (_, payload, next) = file::read(&file, segment, 0).unwrap();
        let mut payload = payload.to_vec();
        for (at, byte, header) in changes {
            let at = if header { at.index(16) } else { at.index(payload.len()) };
            payload[at] = byte;
        }
        let rest = file.split_off(next);
        file.truncate(segment);
        file::write(Chunk::Segment, &payload, &mut file).unwrap();
        file.extend(rest);
        if let Ok(mut index) = ProductIndex::open(file.clone().into()) {
            answers(&index, Kind::Float, &[1]);
            index.remove(2);
            index.add(3, &look(Kind::Float, 3, 30), Colours::UNKNOWN).unwrap();
            answers(&index, Kind::Float, &[1]);
            index.save(&mut Vec::new()).unwrap();
        }
    }

    #[test]
    fn votes_are_those_counted_in_plain_loops(kind in kinds(), looks in prop::collection::vec(0_u64..20, 1..10), shown in 0_u64..20) {
        let products: BTreeMap<u64, u64> = (0..).zip(looks).collect();
        let index = built_from_nothing(kind, &products);
        let (vocabulary, picture, voting) = (vocabulary(kind), picture_of(&look(kind, shown, 30), shown), Voting::default());
        let word_and_signature = |code: &Code| {
            // Of six branches all are looked into: the nearest of all words.
            let mut words = Vec::new();
            vocabulary.nearest(code, 1, &mut Vec::new(), &mut words);
            (words[0], vocabulary.signature(&vocabulary.turn(code), words[0]))
        };
        let all: Vec<(u64, Vec<(u32, u64)>)> =
            products.iter().map(|(&id, &which)| (id, look(kind, which, 30).codes.iter().map(word_and_signature).collect())).collect();
        let features: u64 = all.iter().map(|(_, features)| features.len() as u64).sum();
        let mut expected: Vec<Ranked> = Vec::new();
        for (id, own) in &all {
            let mut votes = 0;
            for code in &picture.codes {
                let mut words = Vec::new();
                vocabulary.nearest(code, voting.words, &mut Vec::new(), &mut words);
                votes += words.iter().flat_map(|&word| {
                    let signature = vocabulary.signature(&vocabulary.turn(code), word);
                    let frequency = all.iter().flat_map(|(_, own)| own).filter(|(other, _)| *other == word).count() as u64;
                    let rare = ((features + 1) / (frequency + 1)) as f64;
                    // Linear between powers of two, in quarters.
                    let power = 2_f64.powf(rare.log2().floor());
                    let rarity = (4.0 * rare.log2().floor() + (4.0 * (rare / power - 1.0)).floor()) as u64;
                    own.iter().filter(move |(other, _)| *other == word).filter_map(move |(_, other)| {
                        let bits = u64::from((other ^ signature).count_ones());
                        (bits <= 22).then(|| (23 - bits) * (23 - bits) * rarity * rarity)
                    })
                }).max().unwrap_or(0);
            }
            if votes > 0 {
                let length = ((own.len() as f64 + 64.0) * 256.0).sqrt().floor() as u64;
                expected.push(Ranked { product: *id, votes: votes * 256 / length });
            }
        }
        expected.sort_by_key(|ranked| (std::cmp::Reverse(ranked.votes), ranked.product));
        prop_assert_eq!(index.search(&picture, &voting, &mut SearchScratch::default()).unwrap(), expected);
    }

    #[test]
    fn the_nearest_words_are_the_nearest_of_all_where_all_branches_are_looked_into(kind in kinds(), which in 100_u64..200) {
        let vocabulary = vocabulary(kind);
        for code in look(kind, which, 5).codes {
            let distance = |word: u32| -> u32 {
                let leaf = vocabulary.leaves()[word as usize];
                match kind {
                    Kind::Float => (0..64).map(|i| (i32::from(code[i] as i8) - i32::from(leaf[i] as i8)).pow(2) as u32).sum(),
                    Kind::Binary => (0..64).map(|i| (code[i] ^ leaf[i]).count_ones()).sum(),
                }
            };
            let mut expected: Vec<u32> = (0..36).collect();
            expected.sort_by_key(|&word| (distance(word), word));
            let mut words = Vec::new();
            vocabulary.nearest(&code, 7, &mut Vec::new(), &mut words);
            prop_assert_eq!(&words[..], &expected[..7]);
        }
    }
}

/// An index of five products, as saved.
fn saved() -> &'static Vec<u8> {
    static FILE: OnceLock<Vec<u8>> = OnceLock::new();
    FILE.get_or_init(|| {
        let mut file = Vec::new();
        built_from_nothing(Kind::Float, &(0..5).map(|id| (id, id)).collect()).save(&mut file).unwrap();
        file
    })
}

#[test]
fn any_number_of_a_segment_made_wild_is_an_error_or_an_index_that_answers() {
    let file = saved();
    let (_, _, segment) = file::read(file, 0, 0).unwrap();
    let (_, payload, next) = file::read(file, segment, 0).unwrap();
    let shown = look(Kind::Float, 1, 30);
    for at in (0..payload.len() / 4).map(|at| at * 4) {
        for wild in [u32::MAX, 0, u32::from_le_bytes(std::array::from_fn(|i| payload[at + i])).wrapping_add(1)] {
            let mut payload = payload.to_vec();
            payload[at..at + 4].copy_from_slice(&wild.to_le_bytes());
            let mut broken = file[..segment].to_vec();
            file::write(Chunk::Segment, &payload, &mut broken).unwrap();
            broken.extend(&file[next..]);
            let Ok(mut index) = ProductIndex::open(broken.into()) else { continue };
            index.search(&shown, &Voting::default(), &mut SearchScratch::default()).unwrap();
            let products: Vec<u64> = index.products().collect();
            products.iter().for_each(|&product| assert!(index.remove(product)));
        }
    }
}

#[test]
fn a_product_is_found_where_it_is_and_what_is_not_there_is_not() {
    for kind in [Kind::Float, Kind::Binary] {
        let index = built_from_nothing(kind, &(0..30).map(|id| (id, id)).collect());
        let how = Recognition::default();
        let mut scratch = SearchScratch::default();
        for shown in 0..30 {
            let picture = picture_of(&look(kind, shown, 30), shown);
            let seen = index.recognise(&picture, None, &how, &mut scratch).unwrap();
            assert_eq!(seen.iter().map(|seen| seen.product).collect::<Vec<_>>(), [shown]);
            let [x, y] = seen[0].map.apply([100.0, 150.0]).unwrap();
            let (sin, cos) = 0.3_f64.sin_cos();
            let [x1, y1] = [1.5 * (cos * 100.0 - sin * 150.0) + 150.0, 1.5 * (sin * 100.0 + cos * 150.0) + 20.0];
            assert!((x - x1).abs() < 0.5 && (y - y1).abs() < 0.5, "{x},{y} not {x1},{y1}");
            assert!(seen[0].matches.len() >= 29 && seen[0].matches.iter().all(|m| m.picture == m.product + 40));
        }
        let strange = picture_of(&look(kind, 1000, 30), 1000);
        assert_eq!(index.recognise(&strange, None, &how, &mut scratch).unwrap(), []);
    }
}

#[test]
fn what_was_appended_and_then_cut_off_leaves_what_was_before() {
    let mut index = built_from_nothing(Kind::Float, &(0..5).map(|id| (id, id)).collect());
    let mut file = Vec::new();
    index.save(&mut file).unwrap();
    let whole = file.len();
    index.remove(3);
    index.add(7, &look(Kind::Float, 7, 30), Colours::UNKNOWN).unwrap();
    index.append(&mut file).unwrap();
    let after = file.len();
    index.append(&mut file).unwrap();
    assert_eq!(file.len(), after, "nothing new is nothing written");
    let products = |bytes: &[u8]| {
        ProductIndex::open(Bytes::copy_from_slice(bytes)).map(|index| index.products().collect::<Vec<_>>())
    };
    assert_eq!(products(&file), Ok(vec![0, 1, 2, 4, 7]));
    for cut in whole + 1..after {
        assert_eq!(products(&file[..cut]), Err(IndexError::Truncated { at: whole as u64 }));
    }
    assert_eq!(products(&file[..whole]), Ok(vec![0, 1, 2, 3, 4]));
}

#[test]
fn words_and_answers_are_the_same_on_one_thread_and_on_four() {
    for kind in [Kind::Float, Kind::Binary] {
        let codes: Vec<Code> = (0..40).flat_map(|id| look(kind, id, 40).codes).collect();
        let on = |threads| {
            rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(|| {
                let vocabulary = Vocabulary::train(kind, &codes, &Training::default()).unwrap();
                let index = built_from_nothing(kind, &(0..10).map(|id| (id, id)).collect());
                (vocabulary, answers(&index, kind, &[1, 2]))
            })
        };
        assert_eq!(on(1), on(4));
    }
}

#[test]
fn segments_stay_few() {
    let mut index = ProductIndex::new(vocabulary(Kind::Float).clone());
    let described = look(Kind::Float, 1, 3);
    for id in 0..200 {
        index.add(id, &described, Colours::UNKNOWN).unwrap();
        assert!(index.segments.len() <= 9, "{}", index.segments.len());
    }
    for id in 0..199 {
        index.remove(id);
        let kept: usize = index.segments.iter().map(|segment| segment.products()).sum();
        assert!(kept <= 2 * index.len() + 1, "{kept} of {}", index.len());
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let mut index = ProductIndex::new(vocabulary(Kind::Float).clone());
    let bits = look(Kind::Binary, 1, 3);
    assert_eq!(index.add(1, &bits, Colours::UNKNOWN), Err(IndexError::OtherKind));
    assert_eq!(index.search(&bits, &Voting::default(), &mut SearchScratch::default()), Err(IndexError::OtherKind));
    assert_eq!(index.verify(&bits, None, &[], &Recognition::default()), Err(IndexError::OtherKind));
    assert_eq!(Vocabulary::train(Kind::Float, &[], &Training::default()), Err(IndexError::NothingToLearnFrom));
    let point = look(Kind::Float, 1, 1).keypoints;
    let wide = FloatDescriptors::from_values(128, vec![0.0; 128]).unwrap();
    let features = FloatFeatures { keypoints: point.clone(), descriptors: wide };
    assert_eq!(Described::from_float(&features, 9, 9), Err(IndexError::Components(128)));
    let features = BinaryFeatures { keypoints: point, descriptors: vec![] };
    assert_eq!(Described::from_binary(&features, 9, 9), Err(IndexError::Unpaired { points: 1, descriptors: 0 }));
    assert_eq!(ProductIndex::open(Bytes::new()).err(), Some(IndexError::Truncated { at: 0 }));
    assert!(matches!(ProductIndex::open(Bytes::from_static(&[7; 64])).err(), Some(IndexError::Broken { at: 0, .. })));
}

#[test]
fn a_wild_feature_is_no_panic() {
    let mut wild = look(Kind::Float, 1, 20);
    for (point, value) in wild.keypoints.iter_mut().zip([f32::NAN, f32::INFINITY, -1e30, 0.0].into_iter().cycle()) {
        (point.x, point.y, point.size, point.angle) = (value, -value, value, value);
    }
    let mut index = built_from_nothing(Kind::Float, &(0..3).map(|id| (id, id)).collect());
    index.add(9, &wild, Colours::UNKNOWN).unwrap();
    index.verify(&wild, None, &[0, 1, 9, 77], &Recognition::default()).unwrap();
    index.verify(&look(Kind::Float, 1, 20), None, &[0, 1, 9, 77], &Recognition::default()).unwrap();
    let empty = Described::from_float(&FloatFeatures::default(), 0, 0).unwrap();
    index.add(10, &empty, Colours::UNKNOWN).unwrap();
    assert_eq!(index.search(&empty, &Voting::default(), &mut SearchScratch::default()), Ok(vec![]));
    index.verify(&wild, None, &[10], &Recognition::default()).unwrap();
}
