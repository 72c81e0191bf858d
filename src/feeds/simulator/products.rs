//! What the simulated shops sell: twenty-two packages with their shapes, prints and habits of use.

/// A colour: red, green, blue, as a picture under even white light shows it.
pub(super) type Colour = [u8; 3];

/// A package's solid, in millimetres. It stands on y = 0, and the y axis goes up through its middle.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    /// A block: width (x), height (y), depth (z).
    Block(f32, f32, f32),
    /// A solid of revolution: (height, radius) from the foot up.
    Lathe(&'static [(f32, f32)]),
    /// A ball, by its radius.
    Ball(f32),
}

impl Shape {
    /// Half the width of the square that it stands in, whichever way it is turned a little.
    pub(super) fn reach(self) -> f32 {
        match self {
            Self::Block(width, _, depth) => width.max(depth) / 2.0,
            Self::Lathe(profile) => profile.iter().fold(0.0, |most, (_, radius)| radius.max(most)),
            Self::Ball(radius) => radius,
        }
    }

    /// Its height.
    pub(super) fn height(self) -> f32 {
        match self {
            Self::Block(_, height, _) => height,
            Self::Lathe(profile) => profile.last().map_or(0.0, |(height, _)| *height),
            Self::Ball(radius) => 2.0 * radius,
        }
    }
}

/// What is drawn on a package.
#[derive(Debug, Clone, Copy)]
pub(super) enum Pattern {
    /// Plain, with the speckles of a peel.
    Peel,
    /// A wave between two colours.
    Wave,
    /// Bands around it.
    Bands,
    /// A label with a frame on it.
    Label,
    /// Slanting stripes.
    Slant,
    /// Dots.
    Dots,
    /// A chequered field.
    Checks,
}

/// How a package looks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Print {
    /// What it is made of.
    pub(super) base: Colour,
    /// What is printed on it.
    pub(super) accent: Colour,
    /// What is written on it.
    pub(super) ink: Colour,
    /// How.
    pub(super) pattern: Pattern,
    /// How strongly it shines, 0 to 1.
    pub(super) gloss: f32,
}

impl Print {
    /// The colour at `u` (across, 0 to 1 from edge to edge) and `v` (0 at the foot, 1 at the top); `writing` decides what
    /// is written.
    pub(super) fn at(&self, u: f32, v: f32, writing: u32) -> Colour {
        match self.pattern {
            Pattern::Peel => {
                let speckle = cell(u * 40.0, v * 40.0, writing) % 100;
                return mix(self.base, self.accent, if speckle < 12 { 0.6 } else { 0.15 * (1.0 - v) });
            }
            _ if v > 0.93 => return self.accent,
            _ => {}
        }
        // Two lines of letters, each a grid of cells that are inked or not.
        if (0.14..0.86).contains(&u) {
            let line = [(0.70, 0.12), (0.20, 0.06)].into_iter().position(|(at, high)| (at..at + high).contains(&v));
            if let Some(line) = line {
                let (at, high, letters) = if line == 0 { (0.70, 0.12, 6.0) } else { (0.20, 0.06, 11.0) };
                let across = (u - 0.14) / 0.72 * letters;
                let (x, y) = (across.fract() * 4.0, (v - at) / high * 5.0);
                if x < 3.0 && cell(across.floor() * 3.0 + x.floor(), y + 8.0 * line as f32, writing).is_multiple_of(2) {
                    return self.ink;
                }
            }
        }
        let on = match self.pattern {
            Pattern::Peel => false,
            Pattern::Wave => v < 0.48 + 0.10 * (u * std::f32::consts::TAU).sin(),
            Pattern::Bands => (0.08..0.16).contains(&v) || (0.30..0.64).contains(&v),
            Pattern::Label => {
                let framed = (0.10..0.90).contains(&u) && (0.15..0.88).contains(&v);
                let edge = framed && !((0.14..0.86).contains(&u) && (0.19..0.84).contains(&v));
                if edge {
                    return self.ink;
                }
                framed
            }
            Pattern::Slant => (u * 3.0 + v * 4.0).fract() < 0.45,
            Pattern::Dots => {
                let (x, y) = ((u * 5.0).fract() - 0.5, (v * 7.0).fract() - 0.5);
                x * x + y * y < 0.09
            }
            Pattern::Checks => v < 0.62 && ((u * 6.0).floor() + (v * 9.0).floor()) as i32 % 2 == 0,
        };
        if on { self.accent } else { self.base }
    }
}

/// A number that belongs to a cell of a grid.
fn cell(x: f32, y: f32, seed: u32) -> u32 {
    let mut hash = (x.floor() as i32).cast_unsigned().wrapping_mul(0x9e37_79b1)
        ^ (y.floor() as i32).cast_unsigned().wrapping_mul(0x85eb_ca77)
        ^ seed.wrapping_mul(0xc2b2_ae3d);
    hash ^= hash >> 15;
    hash = hash.wrapping_mul(0x2c1b_3c6d);
    hash ^ (hash >> 12)
}

fn mix(a: Colour, b: Colour, part: f32) -> Colour {
    std::array::from_fn(|c| (f32::from(a[c]) + part * (f32::from(b[c]) - f32::from(a[c]))) as u8)
}

/// How a package is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// At once: taken out and gone.
    Whole,
    /// In so many helpings: taken out and put back with less in it, until the last.
    Helpings(u32),
}

/// A package that can be bought.
#[derive(Debug, Clone, Copy)]
pub(super) struct Good {
    pub(super) sku: &'static str,
    pub(super) name: &'static str,
    pub(super) category: &'static str,
    pub(super) brand: &'static str,
    /// Weight of a full package.
    pub(super) grams: u32,
    /// Weight of an empty one.
    pub(super) empty_grams: u32,
    pub(super) shelf_life_days: u32,
    pub(super) shape: Shape,
    pub(super) print: Print,
    pub(super) usage: Use,
}

const CAN: Shape = Shape::Lathe(&[(0.0, 28.0), (6.0, 33.0), (110.0, 33.0), (118.0, 28.0), (121.0, 27.0)]);
const SODA: Shape = Shape::Lathe(&[
    (0.0, 31.0),
    (120.0, 33.0),
    (160.0, 30.0),
    (185.0, 13.0),
    (205.0, 13.0),
    (205.0, 15.0),
    (218.0, 15.0),
]);
const WATER: Shape =
    Shape::Lathe(&[(0.0, 38.0), (140.0, 40.0), (195.0, 16.0), (212.0, 14.0), (212.0, 17.0), (226.0, 17.0)]);
const CUP: Shape = Shape::Lathe(&[(0.0, 28.0), (70.0, 36.0), (72.0, 39.0), (75.0, 39.0)]);
const POT: Shape = Shape::Lathe(&[(0.0, 40.0), (104.0, 47.0), (104.0, 50.0), (112.0, 50.0)]);
const TUB: Shape = Shape::Lathe(&[(0.0, 50.0), (62.0, 58.0), (62.0, 61.0), (72.0, 61.0)]);
const JAR: Shape = Shape::Lathe(&[(0.0, 34.0), (4.0, 37.0), (95.0, 37.0), (106.0, 31.0), (108.0, 35.0), (122.0, 35.0)]);
const SLIM_JAR: Shape =
    Shape::Lathe(&[(0.0, 27.0), (4.0, 30.0), (90.0, 30.0), (100.0, 25.0), (102.0, 28.0), (114.0, 28.0)]);
const CARTON: Shape = Shape::Block(72.0, 194.0, 72.0);

const fn print(pattern: Pattern, gloss: f32, base: Colour, accent: Colour, ink: Colour) -> Print {
    Print { base, accent, ink, pattern, gloss }
}

macro_rules! goods {
    ($($sku:literal, $name:literal, $category:literal, $brand:literal, $grams:literal - $empty:literal g,
       $days:literal d, $shape:expr, $usage:expr, $print:expr;)*) => {
        &[$(Good {
            sku: $sku, name: $name, category: $category, brand: $brand, grams: $grams, empty_grams: $empty,
            shelf_life_days: $days, shape: $shape, usage: $usage, print: $print,
        }),*]
    };
}

/// Everything that can be bought. Whole and skimmed milk, and the two colas, are look-alikes.
pub(super) const GOODS: &[Good] = {
    use Pattern::{Bands, Checks, Dots, Label, Peel, Slant, Wave};
    use Shape::{Ball, Block};
    use Use::{Helpings, Whole};
    goods! {
        "milk-whole-1l", "Whole milk 1 l", "dairy/milk", "Almhof", 1060-30 g, 8 d, CARTON, Helpings(7),
            print(Wave, 0.1, [226, 232, 238], [30, 78, 178], [18, 40, 110]);
        "milk-skimmed-1l", "Skimmed milk 1 l", "dairy/milk", "Almhof", 1055-30 g, 8 d, CARTON, Helpings(7),
            print(Wave, 0.1, [226, 232, 238], [96, 178, 226], [18, 70, 120]);
        "oat-drink-1l", "Oat drink 1 l", "drinks/plant", "Haferfeld", 1050-30 g, 20 d, CARTON, Helpings(6),
            print(Dots, 0.1, [206, 178, 132], [108, 70, 38], [60, 36, 20]);
        "orange-juice-1l", "Orange juice 1 l", "drinks/juice", "Soleada", 1080-32 g, 12 d, CARTON, Helpings(5),
            print(Label, 0.1, [244, 132, 14], [252, 214, 96], [188, 52, 10]);
        "cola-500ml", "Cola 0.5 l", "drinks/soft", "Brio", 540-25 g, 200 d, SODA, Whole,
            print(Bands, 0.7, [52, 20, 14], [206, 22, 30], [244, 238, 232]);
        "water-1l", "Mineral water", "drinks/water", "Fontalba", 840-28 g, 300 d, WATER, Helpings(3),
            print(Bands, 0.8, [150, 206, 222], [24, 148, 170], [8, 66, 92]);
        "beer-can", "Lager 0.33 l", "drinks/beer", "Torre", 345-15 g, 250 d, CAN, Whole,
            print(Checks, 0.8, [30, 122, 62], [212, 176, 60], [240, 234, 200]);
        "cola-can", "Cola 0.33 l", "drinks/soft", "Brio", 348-15 g, 250 d, CAN, Whole,
            print(Wave, 0.8, [204, 26, 34], [232, 226, 222], [250, 246, 242]);
        "cola-zero-can", "Cola zero 0.33 l", "drinks/soft", "Brio", 340-15 g, 250 d, CAN, Whole,
            print(Wave, 0.8, [34, 32, 36], [206, 40, 46], [236, 232, 232]);
        "yoghurt-strawberry", "Strawberry yoghurt", "dairy/yoghurt", "Almhof", 158-8 g, 18 d, CUP, Whole,
            print(Dots, 0.2, [246, 168, 190], [214, 34, 78], [150, 16, 52]);
        "yoghurt-natural-500g", "Natural yoghurt 500 g", "dairy/yoghurt", "Prado", 522-22 g, 16 d, POT, Helpings(3),
            print(Bands, 0.2, [236, 238, 228], [120, 186, 66], [40, 98, 36]);
        "butter-250g", "Butter 250 g", "dairy/butter", "Prado", 254-4 g, 45 d, Block(104.0, 48.0, 66.0), Helpings(9),
            print(Slant, 0.3, [240, 208, 70], [212, 164, 28], [122, 82, 14]);
        "margarine-500g", "Margarine 500 g", "dairy/butter", "Lindora", 525-25 g, 60 d, TUB, Helpings(10),
            print(Label, 0.2, [110, 186, 108], [250, 236, 110], [200, 30, 40]);
        "cream-cheese", "Cream cheese", "dairy/cheese", "Prado", 215-15 g, 25 d, Block(98.0, 58.0, 78.0), Helpings(4),
            print(Label, 0.3, [168, 178, 206], [232, 236, 242], [70, 54, 140]);
        "cheddar-400g", "Cheddar 400 g", "dairy/cheese", "Torre", 408-8 g, 35 d, Block(118.0, 66.0, 56.0), Helpings(6),
            print(Slant, 0.3, [232, 126, 36], [176, 58, 22], [250, 226, 160]);
        "eggs-6", "Six eggs", "eggs", "Prado", 390-30 g, 24 d, Block(118.0, 64.0, 96.0), Helpings(3),
            print(Checks, 0.0, [152, 138, 122], [120, 106, 92], [70, 58, 48]);
        "ham-150g", "Cooked ham", "meat/cold-cuts", "Torre", 168-18 g, 9 d, Block(112.0, 92.0, 30.0), Helpings(2),
            print(Label, 0.5, [196, 70, 92], [240, 178, 172], [110, 20, 36]);
        "apple-red", "Apple", "fruit", "", 185-0 g, 21 d, Ball(38.0), Whole,
            print(Peel, 0.4, [172, 24, 30], [220, 150, 60], [0, 0, 0]);
        "orange", "Orange", "fruit", "", 210-0 g, 21 d, Ball(40.0), Whole,
            print(Peel, 0.3, [246, 142, 22], [220, 108, 8], [0, 0, 0]);
        "lettuce", "Lettuce", "vegetables", "", 420-0 g, 6 d, Ball(56.0), Helpings(2),
            print(Peel, 0.1, [112, 172, 60], [50, 112, 30], [0, 0, 0]);
        "tomato-sauce", "Tomato sauce", "sauces", "Soleada", 560-170 g, 90 d, JAR, Helpings(2),
            print(Label, 0.7, [170, 30, 18], [238, 226, 196], [30, 110, 50]);
        "mustard", "Mustard", "sauces", "Lindora", 330-130 g, 180 d, SLIM_JAR, Helpings(12),
            print(Bands, 0.6, [204, 166, 30], [28, 92, 60], [236, 226, 170]);
    }
};
