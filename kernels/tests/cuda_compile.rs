//! NVRTC compiles every kernel for every chip that is supported; no GPU is needed.
#![allow(clippy::unwrap_used)]

use std::{
    cell::RefCell,
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    process::Command,
};

use larder_kernels::cuda::{
    SOURCE,
    cache::{CubinStore, cubin},
    compile::{Chip, CompileError, Nvrtc, OPTIONS},
    npp::Npp,
    table::KERNELS,
};
use python::python;

#[path = "../../tests/python/mod.rs"]
mod python;

const CHIPS: [Chip; 5] = [
    Chip { major: 7, minor: 5 },
    Chip { major: 8, minor: 0 },
    Chip { major: 8, minor: 9 },
    Chip { major: 9, minor: 0 },
    Chip { major: 10, minor: 0 },
];

/// Where tests/run installs CUDA's libraries; none, which is said, where there are none.
fn libraries() -> Option<PathBuf> {
    let python = python("nvidia.cu13")?;
    let script = "import nvidia.cu13; print(list(nvidia.cu13.__path__)[0])";
    let output = Command::new(python).args(["-c", script]).output().unwrap();
    Some(PathBuf::from(String::from_utf8(output.stdout).unwrap().trim()).join("lib"))
}

fn nvrtc() -> Option<Nvrtc> {
    Some(Nvrtc::load(Some(&libraries()?), 13).unwrap())
}

#[test]
fn npp_has_every_function_that_is_called_or_says_what_it_lacks() {
    let error = Npp::load(Some(Path::new("/there/is/no/such/folder"))).unwrap_err();
    assert!(error.to_string().starts_with("libnppc.so.13 does not load: "), "{error}");
    let Some(folder) = libraries() else { return };
    let npp = Npp::load(Some(&folder)).unwrap();
    assert_eq!(npp.version().0, 13);
    // What can be asked of it without a GPU.
    let bytes = npp.label_bytes(640, 480).unwrap();
    assert!(bytes >= 640 * 480, "{bytes}");
    assert!(npp.label_bytes(0, 480).is_err());
}

#[test]
fn every_kernel_compiles_for_every_chip_and_keeps_to_its_registers() {
    let Some(nvrtc) = nvrtc() else { return };
    let options = [&OPTIONS[..], &["--ptxas-options=-v"]].concat();
    for chip in CHIPS {
        let (cubin, log) = nvrtc.compile_with_log(SOURCE, chip, &options).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(cubin[..4], *b"\x7fELF");
        let mut spills = BTreeMap::new();
        let mut kernel = "";
        for line in log.lines() {
            if let Some((_, name)) = line.split_once("Compiling entry function '") {
                kernel = name.split('\'').next().unwrap();
            } else if line.contains("spill stores") {
                spills.insert(kernel, !line.contains(" 0 bytes spill stores, 0 bytes spill loads"));
            } else if let Some((_, needs)) = line.split_once("Used ") {
                println!("{chip} {kernel}: {needs}");
            }
        }
        for kernel in KERNELS {
            assert_eq!(spills.get(kernel.name), Some(&false), "{chip} {}: {log}", kernel.name);
        }
    }
}

#[test]
fn a_source_that_is_wrong_is_an_error_with_the_compilers_words() {
    let Some(nvrtc) = nvrtc() else { return };
    let error = nvrtc.compile("__global__ void f() { nonsense; }", CHIPS[1], &OPTIONS).unwrap_err();
    assert!(matches!(&error, CompileError::Source { log, .. } if log.contains("nonsense")), "{error}");
    assert!(matches!(nvrtc.compile("\0", CHIPS[1], &OPTIONS), Err(CompileError::Nul)));
    assert!(nvrtc.compile(SOURCE, Chip { major: 1, minor: 0 }, &OPTIONS).is_err());
}

#[test]
fn nvrtc_can_be_loaded_again_after_it_was_dropped() {
    for _ in 0..2 {
        let Some(nvrtc) = nvrtc() else { return };
        nvrtc.compile("extern \"C\" __global__ void f(int *to) { *to = 7; }", CHIPS[2], &OPTIONS).unwrap();
    }
}

#[test]
fn a_missing_nvrtc_is_an_error_that_names_it() {
    let error = Nvrtc::load(Some(&PathBuf::from("/there/is/no/such/folder")), 13).unwrap_err();
    assert!(error.to_string().starts_with("libnvrtc.so.13 does not load: "), "{error}");
}

/// Keeps everything in memory.
#[derive(Default)]
struct Kept(RefCell<BTreeMap<String, Vec<u8>>>);

impl CubinStore for Kept {
    fn load(&self, key: &str) -> Option<Vec<u8>> {
        self.0.borrow().get(key).cloned()
    }
    fn keep(&self, key: &str, bytes: &[u8]) -> io::Result<()> {
        self.0.borrow_mut().insert(key.to_owned(), bytes.to_owned());
        Ok(())
    }
}

#[test]
fn what_was_compiled_is_kept_and_a_damaged_entry_is_compiled_anew() {
    let Some(nvrtc) = nvrtc() else { return };
    let kept = Kept::default();
    let source = "extern \"C\" __global__ void f(int *to) { *to = 7; }";
    let get = || cubin(&kept, &nvrtc, source, CHIPS[2], &OPTIONS).unwrap().0;
    let first = get();
    let keys: Vec<String> = kept.0.borrow().keys().cloned().collect();
    assert_eq!(keys.len(), 1);
    // The store is believed, where its entry is whole.
    let mut sealed = kept.0.borrow()[&keys[0]].clone();
    assert_eq!(get(), first);
    sealed.truncate(sealed.len() / 2);
    kept.0.borrow_mut().insert(keys[0].clone(), sealed);
    assert_eq!(get(), first);
    assert_eq!(get(), first);
    assert_eq!(kept.0.borrow().len(), 1);
}
