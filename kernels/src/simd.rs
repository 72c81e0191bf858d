//! Loops compiled for several instruction sets, of which the widest that the machine has is run.
//!
//! Floating point is never contracted or reordered, so that all of them give the same bits.

use std::sync::atomic::{AtomicU8, Ordering};

/// What loops can be compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum InstructionSet {
    /// What every machine of the architecture has.
    Portable = 1,
    /// x86-64 with AVX2: eight floats at once.
    Avx2 = 2,
    /// x86-64 with AVX-512 F, BW, DQ and VL: sixteen floats at once.
    Avx512 = 3,
}

impl InstructionSet {
    /// All of them, the narrowest first.
    pub const ALL: [Self; 3] = [Self::Portable, Self::Avx2, Self::Avx512];
}

/// What is used: 0 until asked for the first time.
static USED: AtomicU8 = AtomicU8::new(0);

/// The widest that this machine has.
pub fn widest() -> InstructionSet {
    #[cfg(target_arch = "x86_64")]
    {
        let wide = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl");
        if wide {
            return InstructionSet::Avx512;
        }
        if is_x86_feature_detected!("avx2") {
            return InstructionSet::Avx2;
        }
    }
    InstructionSet::Portable
}

/// What loops run on now.
pub fn used() -> InstructionSet {
    match USED.load(Ordering::Relaxed) {
        0 => limit(InstructionSet::Avx512),
        1 => InstructionSet::Portable,
        2 => InstructionSet::Avx2,
        _ => InstructionSet::Avx512,
    }
}

/// From now on, the whole program uses nothing wider than `most`, to compare or to measure; what is used then.
pub fn limit(most: InstructionSet) -> InstructionSet {
    let used = widest().min(most);
    USED.store(used as u8, Ordering::Relaxed);
    used
}

/// Defines a function whose body is compiled for every [`InstructionSet`] and run on the one that is used.
///
/// Best a loop over one row of pixels: that its slices do not overlap is known only from the arguments, and a closure that is
/// not inlined is compiled for the portable set.
macro_rules! vectorised {
    (
        $(#[$meta:meta])*
        $vis:vis fn $name:ident $(<const $const:ident: usize>)? ($($arg:ident: $type:ty),* $(,)?) $(-> $result:ty)?
        $body:block
    ) => {
        $(#[$meta])*
        #[allow(clippy::too_many_arguments)]
        $vis fn $name $(<const $const: usize>)? ($($arg: $type),*) $(-> $result)? {
            #[inline(always)]
            #[allow(clippy::too_many_arguments)]
            fn body $(<const $const: usize>)? ($($arg: $type),*) $(-> $result)? $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
                #[allow(clippy::too_many_arguments)]
                fn avx512 $(<const $const: usize>)? ($($arg: $type),*) $(-> $result)? {
                    body $(::<$const>)? ($($arg),*)
                }
                #[target_feature(enable = "avx2")]
                #[allow(clippy::too_many_arguments)]
                fn avx2 $(<const $const: usize>)? ($($arg: $type),*) $(-> $result)? {
                    body $(::<$const>)? ($($arg),*)
                }
                match $crate::simd::used() {
                    // SAFETY: it is used only where the machine was seen to have it.
                    $crate::simd::InstructionSet::Avx512 => return unsafe { avx512 $(::<$const>)? ($($arg),*) },
                    // SAFETY: as above.
                    $crate::simd::InstructionSet::Avx2 => return unsafe { avx2 $(::<$const>)? ($($arg),*) },
                    $crate::simd::InstructionSet::Portable => {}
                }
            }
            body $(::<$const>)? ($($arg),*)
        }
    };
}
pub(crate) use vectorised;
