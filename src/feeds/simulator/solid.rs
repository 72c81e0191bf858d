//! Where a line of sight meets a package.

use std::f32::consts::TAU;

use super::products::Shape;

/// A point seen on a package, in its own coordinates.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Hit {
    /// How many of the line's directions away.
    pub(super) away: f32,
    /// The surface's normal, 1 long.
    pub(super) normal: [f32; 3],
    /// Where on the print: across, up.
    pub(super) uv: (f32, f32),
}

impl Shape {
    /// The nearest point that the line from `origin` along `direction` meets.
    pub(super) fn meet(self, origin: [f32; 3], direction: [f32; 3]) -> Option<Hit> {
        match self {
            Self::Block(width, height, depth) => block([width, height, depth], origin, direction),
            Self::Lathe(profile) => lathe(profile, origin, direction),
            Self::Ball(radius) => ball(radius, origin, direction),
        }
    }
}

fn along(origin: [f32; 3], direction: [f32; 3], away: f32) -> [f32; 3] {
    std::array::from_fn(|axis| origin[axis] + away * direction[axis])
}

/// Slab by slab (Kay and Kajiya 1986).
fn block(size: [f32; 3], origin: [f32; 3], direction: [f32; 3]) -> Option<Hit> {
    let low = [-size[0] / 2.0, 0.0, -size[2] / 2.0];
    let (mut enter, mut leave, mut face) = (0.0_f32, f32::INFINITY, 0);
    for axis in 0..3 {
        let sides = [low[axis], low[axis] + size[axis]].map(|side| (side - origin[axis]) / direction[axis]);
        let (near, far) = (sides[0].min(sides[1]), sides[0].max(sides[1]));
        if near > enter {
            (enter, face) = (near, axis);
        }
        leave = leave.min(far);
    }
    if enter <= 0.0 || enter >= leave {
        return None;
    }
    let point = along(origin, direction, enter);
    let mut normal = [0.0; 3];
    normal[face] = -direction[face].signum();
    let part = |axis: usize| (point[axis] - low[axis]) / size[axis];
    let uv = match face {
        0 => (part(2), part(1)),
        1 => (part(0), 0.1 + 0.8 * part(2)),
        _ => (part(0), part(1)),
    };
    Some(Hit { away: enter, normal, uv })
}

fn ball(radius: f32, origin: [f32; 3], direction: [f32; 3]) -> Option<Hit> {
    let from = [origin[0], origin[1] - radius, origin[2]];
    let dot = |a: [f32; 3], b: [f32; 3]| a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
    let (a, b, c) = (dot(direction, direction), dot(from, direction), dot(from, from) - radius * radius);
    let root = b * b - a * c;
    if root < 0.0 {
        return None;
    }
    let away = (-b - root.sqrt()) / a;
    let point = along(from, direction, away);
    (away > 0.0).then(|| Hit {
        away,
        normal: point.map(|coordinate| coordinate / radius),
        uv: (around(point), 0.5 + point[1] / (2.0 * radius)),
    })
}

/// How far around the vertical, as the place on a print that goes around twice.
fn around(point: [f32; 3]) -> f32 {
    (point[0].atan2(-point[2]) / TAU * 2.0 + 1.5).fract()
}

/// Frustum by frustum, and the disc on top.
fn lathe(profile: &[(f32, f32)], origin: [f32; 3], direction: [f32; 3]) -> Option<Hit> {
    let height = profile.last()?.0;
    let mut best: Option<Hit> = None;
    let mut offer = |away: f32, normal: [f32; 3], y: f32| {
        if away > 0.0 && best.is_none_or(|best| away < best.away) {
            let uv = (around(along(origin, direction, away)), y / height);
            best = Some(Hit { away, normal, uv });
        }
    };
    for pair in profile.windows(2) {
        let [(low, wide), (high, narrow)] = [pair[0], pair[1]];
        if high <= low {
            disc(low, wide.max(narrow), origin, direction, &mut offer);
            continue;
        }
        let slope = (narrow - wide) / (high - low);
        let here = wide + slope * (origin[1] - low);
        let a = direction[0] * direction[0] + direction[2] * direction[2] - (slope * direction[1]).powi(2);
        let b = origin[0] * direction[0] + origin[2] * direction[2] - slope * direction[1] * here;
        let c = origin[0] * origin[0] + origin[2] * origin[2] - here * here;
        let root = b * b - a * c;
        if root < 0.0 || a == 0.0 {
            continue;
        }
        for sign in [-1.0, 1.0] {
            let away = (-b + sign * root.sqrt()) / a;
            let [x, y, z] = along(origin, direction, away);
            if (low..high).contains(&y) {
                let long = (x * x + z * z).sqrt();
                let tilt = (1.0 + slope * slope).sqrt();
                offer(away, [x / long / tilt, -slope / tilt, z / long / tilt], y);
            }
        }
    }
    if let Some((top, radius)) = profile.last() {
        disc(*top, *radius, origin, direction, &mut offer);
    }
    best
}

fn disc(y: f32, radius: f32, origin: [f32; 3], direction: [f32; 3], offer: &mut impl FnMut(f32, [f32; 3], f32)) {
    let away = (y - origin[1]) / direction[1];
    let [x, _, z] = along(origin, direction, away);
    if x * x + z * z <= radius * radius {
        offer(away, [0.0, -direction[1].signum(), 0.0], y);
    }
}
