//! `larder doctor`: what this machine has for vision.

use std::path::PathBuf;

use clap::Args;
use larder::eyes::vectors;
use larder_kernels::simd::widest;
use serde::Serialize;

use super::output::{Output, table};

/// Say what this machine has for vision: the processor, and a GPU with what it needs
///
/// None of it is an error: what a GPU lacks is said, and the CPU does the work.
#[derive(Debug, Args)]
pub(super) struct Doctor {
    /// Where CUDA's libraries (NVRTC, NPP) are, if not where the system looks
    #[arg(long, value_name = "FOLDER", env = larder::gpu::LIBRARIES)]
    cuda_libraries: Option<PathBuf>,
}

/// What was found, or why it was not.
#[derive(Debug, Serialize)]
struct Finding {
    what: &'static str,
    found: bool,
    says: String,
}

impl Doctor {
    pub(super) fn run(self, output: &Output) -> anyhow::Result<()> {
        let mut findings = vec![processor()];
        findings.extend(gpu(self.cuda_libraries.as_deref()));
        output.result(&findings, |findings| {
            let row = |finding: &Finding| {
                let mark = if finding.found { "yes" } else { "no" };
                vec![finding.what.to_owned(), mark.to_owned(), finding.says.clone()]
            };
            table(&["for vision", "", "this machine has"], &findings.iter().map(row).collect::<Vec<_>>())
        })
    }
}

fn processor() -> Finding {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Finding { what: "processor", found: true, says: format!("{cores} threads, {}", vectors(widest())) }
}

#[cfg(not(feature = "cuda"))]
fn gpu(_: Option<&std::path::Path>) -> Vec<Finding> {
    vec![Finding { what: "GPU", found: false, says: "this program was built without the feature cuda".to_owned() }]
}

#[cfg(feature = "cuda")]
fn gpu(libraries: Option<&std::path::Path>) -> Vec<Finding> {
    use larder::cubins::CubinFolder;
    use larder_kernels::cuda::{
        Gpu,
        cache::{CubinStore, NoStore},
        compile::Nvrtc,
        driver::probe,
        npp::Npp,
    };

    let finding = |what, result: Result<String, String>| {
        let found = result.is_ok();
        Finding { what, found, says: result.unwrap_or_else(|reason| reason) }
    };
    let driver = probe(None);
    let newest = driver.as_ref().map_or(i32::MAX, |driver| driver.version.0);
    let nvrtc = Nvrtc::load(libraries, newest)
        .map(|nvrtc| format!("{}.{}, {}", nvrtc.version().0, nvrtc.version().1, nvrtc.path()))
        .map_err(|error| error.to_string());
    let npp = Npp::load(libraries)
        .map(|npp| format!("{}.{}.{}", npp.version().0, npp.version().1, npp.version().2))
        .map_err(|error| error.to_string());
    let mut findings = Vec::new();
    match &driver {
        Ok(driver) => {
            let (major, minor) = driver.version;
            findings.push(finding("NVIDIA driver", Ok(format!("CUDA {major}.{minor}"))));
            findings.extend(driver.devices.iter().map(|device| {
                let memory = device.memory >> 20;
                finding("GPU", Ok(format!("{}: {}, {}, {memory} MiB", device.ordinal, device.name, device.chip)))
            }));
        }
        Err(error) => findings.push(finding("NVIDIA driver", Err(error.to_string()))),
    }
    findings.push(finding("NVRTC", nvrtc));
    findings.push(finding("NPP", npp));
    if driver.is_ok() {
        let folder = CubinFolder::of_user();
        let store: &dyn CubinStore = folder.as_ref().map_or(&NoStore, |folder| folder);
        let kernels = match Gpu::open(0, libraries, store) {
            Ok((_, None)) => {
                let place = folder.as_ref().map_or("nowhere".to_owned(), |folder| folder.path().display().to_string());
                Ok(format!("ready for local features, kept in {place}"))
            }
            Ok((_, Some(error))) => Ok(format!("ready for local features, but not kept: {error}")),
            Err(error) => Err(error.to_string()),
        };
        findings.push(finding("kernels", kernels));
    }
    findings
}
