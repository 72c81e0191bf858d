//! The GPU that local features are found on, where there is one: opened once, when there is enough to do for it, and asked by each
//! thread through a queue of its own.

use std::{cell::Cell, sync::OnceLock};

use larder_kernels::kaze::Finder;

/// The environment variable that names the folder of CUDA's libraries, where they are not where the system looks.
pub const LIBRARIES: &str = "LARDER_CUDA_LIBRARIES";

/// Pixels that are worth opening a GPU for: a core takes about a second for them, and a GPU longer to be opened.
const WORTH_OPENING: usize = 5_000_000;

/// What was opened.
struct Opened {
    name: String,
    /// A finder on a queue of its own.
    queue: Box<dyn Fn() -> Result<Finder, String> + Send + Sync>,
}

/// The GPU, or why there is none; empty before it is asked for.
static GPU: OnceLock<Result<Opened, String>> = OnceLock::new();
/// Why it is not asked any more.
static FAILED: OnceLock<String> = OnceLock::new();

thread_local! {
    /// The thread's finder, and whether it was given a queue, if there are any.
    static FINDER: Cell<Option<(Finder, bool)>> = const { Cell::new(None) };
}

/// Lends `work` the finder of this thread, which is to look at about so many `pixels` in all: on the GPU where one is open or
/// worth opening for them, and on the CPU else; it finds the same. Where the GPU fails that is logged, once, and all
/// threads go on without it.
pub fn with_finder<T>(pixels: usize, work: impl FnOnce(&mut Finder) -> T) -> T {
    // Taken out meanwhile: a thread that waits inside may be given other work that wants one.
    let (mut finder, mut has_asked) = FINDER.take().unwrap_or_default();
    if !has_asked && (pixels >= WORTH_OPENING || GPU.get().is_some()) {
        has_asked = true;
        if let Ok(opened) = opened() {
            match (opened.queue)() {
                Ok(queue) => finder = queue,
                Err(reason) => fail(&reason),
            }
        }
    }
    if let Some(reason) = FAILED.get() {
        finder.leave_machine(reason);
    }
    let done = work(&mut finder);
    if let Some(reason) = finder.failure() {
        fail(reason);
    }
    FINDER.set(Some((finder, has_asked)));
    done
}

/// What the GPU that local features are found on is called, or why they are found on the CPU. Opens it.
///
/// # Errors
/// The reason, in words.
pub fn name() -> Result<&'static str, &'static str> {
    match (opened(), FAILED.get()) {
        (Ok(_), Some(reason)) => Err(reason),
        (Ok(opened), None) => Ok(&opened.name),
        (Err(reason), _) => Err(reason),
    }
}

/// From now on the program asks no GPU, unless it has opened one.
pub fn refuse() {
    // One that is open stays so.
    GPU.set(Err("a GPU was not to be used".to_owned())).ok();
}

fn opened() -> Result<&'static Opened, &'static str> {
    let opened = GPU.get_or_init(|| {
        let opened = open();
        match &opened {
            Ok(Opened { name, .. }) => tracing::info!("local features are found on GPU {name}"),
            Err(reason) => tracing::info!("local features are found on the CPU: {reason}"),
        }
        opened
    });
    opened.as_ref().map_err(String::as_str)
}

fn fail(reason: &str) {
    if FAILED.set(reason.to_owned()).is_ok() {
        tracing::warn!("the GPU is not used any more, and the CPU finds local features: {reason}");
    }
}

#[cfg(not(feature = "cuda"))]
fn open() -> Result<Opened, String> {
    Err("this program was built without the feature cuda".to_owned())
}

#[cfg(feature = "cuda")]
fn open() -> Result<Opened, String> {
    use std::{
        path::Path,
        sync::{Mutex, PoisonError},
    };

    use larder_kernels::cuda::{
        Gpu,
        cache::{CubinStore, NoStore},
    };

    use crate::cubins::CubinFolder;

    let libraries = std::env::var_os(LIBRARIES).filter(|folder| !folder.is_empty());
    let folder = CubinFolder::of_user();
    let store: &dyn CubinStore = folder.as_ref().map_or(&NoStore, |folder| folder);
    let (gpu, not_kept) =
        Gpu::open(0, libraries.as_deref().map(Path::new), store).map_err(|error| error.to_string())?;
    if let Some(error) = not_kept {
        tracing::warn!("compiled kernels are not kept for the next start: {error}");
    }
    let name = gpu.device().name.clone();
    let gpu = Mutex::new(gpu);
    let queue = move || {
        let gpu = gpu.lock().unwrap_or_else(PoisonError::into_inner);
        gpu.fork().map(Finder::on).map_err(|error| error.to_string())
    };
    Ok(Opened { name, queue: Box::new(queue) })
}

#[cfg(test)]
mod tests {
    use larder_kernels::{
        ImageGrey8,
        features::FloatFeatures,
        kaze::{Backend, Kaze, KazeParams, KazeScratch},
    };

    use super::*;

    #[test]
    fn who_has_no_gpu_or_refuses_it_is_told_so_and_finds_the_same() {
        refuse();
        assert_eq!(name(), Err("a GPU was not to be used"));
        let pixels = (0..90 * 90).map(|at| (at % 90 / 9 * 25) as u8 ^ (at / 900 * 11) as u8).collect();
        let picture = ImageGrey8::from_pixels(90, 90, pixels).unwrap();
        let (kaze, mut expected) = (Kaze::new(KazeParams::default()), FloatFeatures::default());
        kaze.detect_and_compute(&picture, &mut KazeScratch::default(), &mut expected);
        let find = |finder: &mut Finder| {
            let mut features = FloatFeatures::default();
            let backend = finder.kaze(&kaze, &picture, &mut features);
            (backend, features)
        };
        assert_eq!(with_finder(usize::MAX, find), (Backend::Cpu, expected.clone()));
        let inner = || with_finder(1, find);
        assert_eq!(with_finder(1, |_| inner()), (Backend::Cpu, expected), "one inside of another");
    }
}
