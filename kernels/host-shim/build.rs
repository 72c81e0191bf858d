//! Compiles the kernels for the CPU: with the host shim, into a program that runs them, once plainly and once under
//! AddressSanitizer.

use std::{
    error::Error,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

fn main() -> Result<(), Box<dyn Error>> {
    let here = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    let kernels = here.join("../cuda").canonicalize()?;
    for path in [&kernels, &here.join("shim")] {
        println!("cargo::rerun-if-changed={}", path.display());
    }
    let mut sources: Vec<PathBuf> =
        fs::read_dir(&kernels)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    sources.retain(|path| path.extension().is_some_and(|extension| extension == "cu"));
    sources.sort();
    sources.push(here.join("shim/planted.cu"));

    let mut text = "#include \"simt.h\"\n".to_owned();
    let mut table = String::new();
    writeln!(text, "#include {:?}", kernels.join("common.cuh"))?;
    for path in &sources {
        writeln!(text, "#include {path:?}")?;
        for name in kernel_names(&fs::read_to_string(path)?) {
            writeln!(table, "    simt::entry<decltype({name}), {name}>(\"{name}\"),")?;
        }
    }
    write!(text, "#include \"run.h\"\nextern const simt::Kernel simt_kernels[];\n")?;
    write!(text, "const simt::Kernel simt_kernels[] = {{\n{table}    {{nullptr, nullptr, nullptr}},\n}};\n")?;
    fs::write(out.join("kernels.cpp"), text)?;

    let sanitizer = ["-O1", "-g", "-fsanitize=address", "-fsanitize-sections=simt_shared", "-fno-omit-frame-pointer"];
    compile(&here.join("shim"), &out, "plain", &["-O2"])?;
    compile(&here.join("shim"), &out, "sanitized", &sanitizer)?;
    fake_drivers(&here.join("shim/fake_driver.c"), &out)
}

/// Drivers in folders by the name of what is wrong with them.
fn fake_drivers(source: &Path, out: &Path) -> Result<(), Box<dyn Error>> {
    let folder = out.join("drivers");
    println!("cargo::rustc-env=LARDER_FAKE_DRIVERS={}", folder.display());
    let kinds = [
        ("old", "-DVERSION=12020 -DINIT=0 -DCOUNT=1"),
        ("mismatched", "-DVERSION=13000 -DINIT=803 -DCOUNT=1"),
        ("without_device", "-DVERSION=13000 -DINIT=100 -DCOUNT=0"),
        ("empty", "-DVERSION=13000 -DINIT=0 -DCOUNT=0"),
        ("incomplete", "-DVERSION=13000 -DINIT=0 -DCOUNT=1 -DINCOMPLETE"),
        ("working", "-DVERSION=13000 -DINIT=0 -DCOUNT=2"),
    ];
    let compiler = cc::Build::new().opt_level(0).warnings(false).get_compiler();
    for (name, flags) in kinds {
        let folder = folder.join(name);
        fs::create_dir_all(&folder)?;
        let status = Command::new(compiler.path())
            .args(["-shared", "-fPIC"])
            .args(flags.split(' '))
            .arg(source)
            .arg("-o")
            .arg(folder.join("libcuda.so.1"))
            .status()?;
        if !status.success() {
            return Err(format!("{} could not compile a driver", compiler.path().display()).into());
        }
    }
    Ok(())
}

/// What stands between `__global__ void`, launch bounds left out, and the parameters.
fn kernel_names(source: &str) -> Vec<String> {
    let mut names = Vec::new();
    for rest in source.split("__global__ void").skip(1) {
        let rest = rest.trim_start();
        let rest = match rest.strip_prefix("__launch_bounds__(") {
            Some(bounds) => bounds.split_once(')').map_or("", |(_, rest)| rest),
            None => rest,
        };
        names.extend(rest.split_once('(').map(|(name, _)| name.trim().to_owned()));
    }
    names
}

fn compile(shim: &Path, out: &Path, name: &str, flags: &[&str]) -> Result<(), Box<dyn Error>> {
    let program = out.join(name);
    let compiler = cc::Build::new().cpp(true).std("c++17").opt_level(0).warnings(false).get_compiler();
    // As Rust and the GPU compute: no fused multiply-adds.
    let status = Command::new(compiler.path())
        .args(["-std=c++17", "-ffp-contract=off", "-Wall", "-Wno-unused-function", "-Wno-unused-variable"])
        .args(flags)
        .arg("-I")
        .arg(shim)
        .args([out.join("kernels.cpp"), shim.join("run.cpp"), shim.join("serve.cpp")])
        .arg("-o")
        .arg(&program)
        .status()?;
    if !status.success() {
        return Err(format!("{} could not compile the kernels", compiler.path().display()).into());
    }
    println!("cargo::rustc-env=LARDER_CUDA_HOST_{}={}", name.to_uppercase(), program.display());
    Ok(())
}
