//! Draws what the camera in the door sees: one line of sight a pixel, the nearest surface wins.

use rand::Rng;

use super::{
    chance::normal,
    products::Shape,
    scene::{CAMERA, DEPTH, HALF_WIDTH, HEIGHT, Item, PICTURE, SHELF_THICKNESS, SHELVES, project, ray},
};

/// No package.
pub(super) const NOBODY: u16 = u16::MAX;

/// From where the light comes: up, a little from the right, and from the camera's side.
const LIGHT: [f32; 3] = [0.2, 0.75, -0.63];

/// The light of one picture.
#[derive(Debug, Clone, Copy)]
pub(super) struct Light {
    /// By what each channel is multiplied.
    pub(super) gain: [f32; 3],
    /// How much lighter the right wall is than the middle.
    pub(super) side: f32,
    /// The deviation of the camera's noise, in units of a channel.
    pub(super) noise: f32,
}

impl Light {
    /// Even and white.
    pub(super) const EVEN: Self = Self { gain: [1.0; 3], side: 0.0, noise: 0.0 };

    /// A light such as fridges have: dim or bright, warm or cold, a little uneven.
    pub(super) fn random(rng: &mut impl Rng) -> Self {
        let bright = rng.random_range(0.72..1.06_f32);
        let warm = rng.random_range(-0.08..0.08_f32);
        Self {
            gain: [bright * (1.0 + warm), bright, bright * (1.0 - warm)],
            side: rng.random_range(-0.08..0.08),
            noise: 1.6 + 2.0 * (1.06 - bright),
        }
    }
}

/// What a pixel of the empty fridge shows.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Surface {
    /// The surface of that shelf.
    Shelf(u8),
    /// Anything else.
    Other,
}

#[derive(Debug, Clone, Copy)]
struct Point {
    colour: [f32; 3],
    away: f32,
    surface: Surface,
}

/// The empty fridge under even light.
pub(super) struct Room {
    points: Vec<Point>,
}

/// What one picture shows.
pub(super) struct View {
    colours: Vec<[f32; 3]>,
    /// Distance along the camera's axis, in millimetres, of each pixel.
    pub(super) away: Vec<f32>,
    /// Which of the items each pixel shows, or [`NOBODY`].
    pub(super) who: Vec<u16>,
}

impl Room {
    /// Looks into the empty fridge.
    pub(super) fn new() -> Self {
        let (width, height) = PICTURE;
        let points = (0..width * height).map(|at| look((at % width) as f32 + 0.5, (at / width) as f32 + 0.5));
        Self { points: points.collect() }
    }

    /// Looks at `items`.
    pub(super) fn view(&self, items: &[Item]) -> View {
        let mut view = View {
            colours: self.points.iter().map(|point| point.colour).collect(),
            away: self.points.iter().map(|point| point.away).collect(),
            who: vec![NOBODY; self.points.len()],
        };
        for item in items {
            self.shade_floor(item, &mut view);
        }
        for (number, item) in (0..NOBODY).zip(items) {
            draw(item, number, &mut view);
        }
        view
    }

    /// The soft shadow that a package has around its foot.
    fn shade_floor(&self, item: &Item, view: &mut View) {
        const AROUND: f32 = 48.0;
        let shape = item.kind().shape;
        let foot = item.foot();
        let shelf =
            SHELVES.iter().position(|height| *height == foot[1]).map_or(Surface::Other, |n| Surface::Shelf(n as u8));
        let reach = shape.reach() * 1.42 + AROUND;
        let corners = [-1.0, 1.0]
            .into_iter()
            .flat_map(|x| [-1.0, 1.0].map(|z| project([foot[0] + x * reach, foot[1], (foot[2] + z * reach).max(0.0)])));
        let (sine, cosine) = item.turn.sin_cos();
        for_pixels(corners, |at, x, y| {
            let Point { away, surface, .. } = self.points[at];
            if surface != shelf {
                return;
            }
            let direction = ray(x, y);
            let (dx, dz) = (CAMERA[0] + direction[0] * away - foot[0], CAMERA[2] + away - foot[2]);
            let off = match shape {
                Shape::Block(width, _, depth) => {
                    let (x, z) = (cosine * dx - sine * dz, sine * dx + cosine * dz);
                    ((x.abs() - width / 2.0).max(0.0).powi(2) + (z.abs() - depth / 2.0).max(0.0).powi(2)).sqrt()
                }
                Shape::Lathe(_) => ((dx * dx + dz * dz).sqrt() - shape.reach()).max(0.0),
                Shape::Ball(radius) => ((dx * dx + dz * dz).sqrt() - radius * 0.35).max(0.0),
            };
            let dark = 1.0 - 0.45 / (1.0 + (off / 13.0).powi(2));
            view.colours[at] = view.colours[at].map(|channel| channel * dark);
        });
    }
}

impl View {
    /// The box of the pixels that show each of `items` packages, and how many there are: left, top, right, bottom.
    pub(super) fn boxes(&self, items: usize) -> Vec<Option<([u16; 4], usize)>> {
        let mut boxes: Vec<Option<([u16; 4], usize)>> = vec![None; items];
        for (y, row) in (0..).zip(self.who.chunks_exact(PICTURE.0)) {
            for (x, who) in (0..).zip(row) {
                if let Some(found) = boxes.get_mut(usize::from(*who)) {
                    let ([left, top, right, bottom], count) = found.unwrap_or(([x, y, x, y], 0));
                    *found = Some(([left.min(x), top.min(y), right.max(x + 1), bottom.max(y + 1)], count + 1));
                }
            }
        }
        boxes
    }

    /// The picture under `light`: rows of red, green, blue.
    pub(super) fn expose(&self, light: &Light, rng: &mut impl Rng) -> Vec<u8> {
        let mut picture = Vec::with_capacity(self.colours.len() * 3);
        for (at, (colour, away)) in self.colours.iter().zip(&self.away).enumerate() {
            let x = ray((at % PICTURE.0) as f32, 0.0)[0] * away;
            let here = 1.0 + light.side * x / HALF_WIDTH;
            let grain = if light.noise > 0.0 { light.noise * normal(rng) } else { 0.0 };
            let tint: u32 = if light.noise > 0.0 { rng.random() } else { 0x0080_8080 };
            for (channel, (shade, gain)) in colour.iter().zip(&light.gain).enumerate() {
                let own = ((tint >> (8 * channel) & 0xff) as f32 - 128.0) / 128.0 * light.noise;
                let value = shade * gain * here + grain + own + 0.5;
                picture.push(value.clamp(0.0, 255.0) as u8);
            }
        }
        picture
    }
}

/// Calls `each` with the number and middle of every pixel of the box around `corners`.
fn for_pixels(corners: impl Iterator<Item = (f32, f32)>, mut each: impl FnMut(usize, f32, f32)) {
    let (mut low, mut high) = ((f32::MAX, f32::MAX), (f32::MIN, f32::MIN));
    for (x, y) in corners {
        low = (low.0.min(x), low.1.min(y));
        high = (high.0.max(x), high.1.max(y));
    }
    let clip = |value: f32, most: usize| value.clamp(0.0, most as f32) as usize;
    for y in clip(low.1.floor(), PICTURE.1)..clip(high.1.ceil(), PICTURE.1) {
        for x in clip(low.0.floor(), PICTURE.0)..clip(high.0.ceil(), PICTURE.0) {
            each(y * PICTURE.0 + x, x as f32 + 0.5, y as f32 + 0.5);
        }
    }
}

fn draw(item: &Item, number: u16, view: &mut View) {
    let good = item.kind();
    let foot = item.foot();
    let (reach, height) = (good.shape.reach() * 1.42, good.shape.height());
    let corners = (0..8).map(|corner| {
        let side = |bit: usize| if corner >> bit & 1 == 1 { 1.0 } else { -1.0 };
        project([
            foot[0] + side(0) * reach,
            foot[1] + if side(1) > 0.0 { height } else { 0.0 },
            foot[2] + side(2) * reach,
        ])
    });
    let (sine, cosine) = item.turn.sin_cos();
    let turn = |[x, y, z]: [f32; 3]| [cosine * x - sine * z, y, sine * x + cosine * z];
    let turn_back = |[x, y, z]: [f32; 3]| [cosine * x + sine * z, y, cosine * z - sine * x];
    let origin = turn([CAMERA[0] - foot[0], CAMERA[1] - foot[1], CAMERA[2] - foot[2]]);
    for_pixels(corners, |at, x, y| {
        let line = ray(x, y);
        // One direction is one millimetre along the camera's axis, so that what `meet` counts is the depth.
        let Some(hit) = good.shape.meet(origin, turn(line)) else { return };
        if hit.away >= view.away[at] {
            return;
        }
        let point: [f32; 3] = std::array::from_fn(|axis| CAMERA[axis] + hit.away * line[axis]);
        let normal = turn_back(hit.normal);
        let printed = good.print.at(hit.uv.0, hit.uv.1, item.good as u32 + 1);
        let facing = dot(normal, LIGHT).max(0.0);
        let near_foot = 0.84 + 0.16 * ((point[1] - foot[1]) / 24.0).clamp(0.0, 1.0);
        let light = (0.68 + 0.36 * facing) * near_foot * lamp(point);
        let shine = 80.0 * good.print.gloss * shine(normal, line);
        view.colours[at] = printed.map(|channel| f32::from(channel) * light + shine);
        view.away[at] = hit.away;
        view.who[at] = number;
    });
}

fn dot(a: [f32; 3], b: [f32; 3]) -> f32 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

/// The mirror image of the lamp (Blinn 1977), to the 32nd power.
fn shine(normal: [f32; 3], line: [f32; 3]) -> f32 {
    let long = dot(line, line).sqrt();
    let half: [f32; 3] = std::array::from_fn(|axis| LIGHT[axis] - line[axis] / long);
    let cosine = dot(normal, half).max(0.0) / dot(half, half).sqrt();
    (0..5).fold(cosine, |power, _| power * power)
}

/// How light it is at a point: lamps under every shelf, in front.
fn lamp([_, y, z]: [f32; 3]) -> f32 {
    let (floor, ceiling) = compartment(y);
    0.90 + 0.10 * ((y - floor) / (ceiling - floor)).clamp(0.0, 1.0) - 0.10 * (z / DEPTH).clamp(0.0, 1.0)
}

/// The shelf below a height, and what is above it.
fn compartment(y: f32) -> (f32, f32) {
    let above = SHELVES.iter().position(|shelf| *shelf > y + 0.01);
    let floor = SHELVES[above.map_or(SHELVES.len() - 1, |above| above.saturating_sub(1))];
    (floor, above.map_or(HEIGHT, |above| SHELVES[above] - SHELF_THICKNESS))
}

/// What the empty fridge shows at (x, y) of the picture.
fn look(x: f32, y: f32) -> Point {
    let line = ray(x, y);
    let front = -CAMERA[2];
    let at = |away: f32| [CAMERA[0] + away * line[0], CAMERA[1] + away * line[1], CAMERA[2] + away];
    let [across, up, _] = at(front);
    let plain = |colour: [f32; 3], away: f32| Point { colour, away, surface: Surface::Other };
    if across.abs() > HALF_WIDTH || !(0.0..HEIGHT).contains(&up) {
        // The seal of the door around the opening.
        let off = (across.abs() - HALF_WIDTH).max(-up).max(up - HEIGHT);
        return plain(if off < 10.0 { [120.0; 3] } else { [168.0, 170.0, 172.0] }, front);
    }
    if SHELVES[1..].iter().any(|shelf| (shelf - SHELF_THICKNESS..*shelf).contains(&up)) {
        return plain([150.0, 160.0, 164.0], front);
    }
    let (floor, ceiling) = compartment(up);
    let wall = (line[0].signum() * HALF_WIDTH - CAMERA[0]) / line[0];
    let level = (if line[1] < 0.0 { floor } else { ceiling } - CAMERA[1]) / line[1];
    let back = DEPTH - CAMERA[2];
    let away = wall.abs().min(level.abs()).min(back);
    let point = at(away);
    let light = lamp(point);
    let (colour, surface) = if away == back {
        // Ribs of the cooling wall.
        let rib = if (point[0] / 90.0).rem_euclid(1.0) < 0.06 { 0.93 } else { 1.0 };
        ([218.0 * rib, 220.0 * rib, 219.0 * rib], Surface::Other)
    } else if away == level.abs() {
        let number = SHELVES.iter().position(|shelf| *shelf == floor).unwrap_or_default();
        if line[1] < 0.0 {
            ([204.0, 211.0, 211.0], Surface::Shelf(number as u8))
        } else {
            ([192.0, 194.0, 194.0], Surface::Other)
        }
    } else {
        ([208.0, 209.0, 208.0], Surface::Other)
    };
    // Corners are darker.
    let corner = (HALF_WIDTH - point[0].abs()).min(DEPTH - point[2]).min(point[1] - floor).max(0.0);
    let dark = if surface == Surface::Other { 1.0 } else { 0.90 + 0.10 * (corner / 40.0).clamp(0.0, 1.0) };
    Point { colour: colour.map(|channel| channel * light * dark), away, surface }
}
