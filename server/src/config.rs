// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Configuration of ReductStore with the extension.

use std::env;
use std::path::PathBuf;

use async_trait::async_trait;
use reduct_base::ext::{ExtSettings, IoExtension};
use reductstore::cfg::{CoreExtCfg, CoreExtCfgParser, ExtCfgBounds, ExtCfgParser, InstanceRole};
use reductstore::core::env::{Env, GetEnv};
use video_extension::{EXPECTED_SIZE, SpoolSettings, VideoExtension, check_folder, parse_size};

/// Variable with the folder of temporary files.
const TEMP_PATH: &str = "EPISODE_SERVER_TEMP_PATH";
/// Variable with the size up to which an episode is kept in memory.
const MEMORY: &str = "EPISODE_SERVER_MEMORY";
/// The size without that variable: two seconds of 8 Mbit/s.
const DEFAULT_MEMORY: usize = 2 << 20;

/// Reads the configuration from the environment.
#[derive(Default)]
pub struct EpisodeServerConfigParser(CoreExtCfgParser);

#[async_trait]
impl<G: GetEnv + Send> ExtCfgParser<G> for EpisodeServerConfigParser {
    type Cfg = EpisodeServerConfig;

    async fn from_env(&self, env: &mut Env<G>, version: &str) -> EpisodeServerConfig {
        let core = self.0.from_env(env, version).await;
        // The server prints the variables that are read this way.
        let folder = env.get_optional::<String>(TEMP_PATH);
        let memory = env.get_optional::<String>(MEMORY);
        EpisodeServerConfig {
            core,
            spool: SpoolSettings {
                folder: temporary_folder(folder).into(),
                // `check` has refused a size that is none.
                memory_limit: memory_limit(memory.as_deref()).unwrap_or(DEFAULT_MEMORY),
            },
        }
    }
}

/// Configuration of the server.
#[derive(Clone)]
pub struct EpisodeServerConfig {
    core: CoreExtCfg,
    spool: SpoolSettings,
}

#[async_trait]
impl ExtCfgBounds for EpisodeServerConfig {
    fn role(&self) -> InstanceRole {
        self.core.role()
    }

    fn data_path(&self) -> PathBuf {
        self.core.data_path()
    }

    fn static_extensions(&self, _: ExtSettings) -> Vec<Box<dyn IoExtension + Send + Sync>> {
        vec![Box::new(VideoExtension::new(self.spool.clone()))]
    }
}

/// Checks the variables of the extension, and that a temporary file can be created, before the first query needs one.
///
/// # Errors
///
/// A text that names the variable, and the folder or the size.
pub fn check() -> Result<(), String> {
    let folder = temporary_folder(env::var(TEMP_PATH).ok());
    check_folder(&folder).map_err(|error| {
        format!(
            "no temporary file can be created in {} ({TEMP_PATH}): {error}",
            folder.display()
        )
    })?;
    let memory = env::var(MEMORY).ok();
    memory_limit(memory.as_deref()).map(drop)
}

/// Returns the size that a variable names in bytes, or the default.
fn memory_limit(variable: Option<&str>) -> Result<usize, String> {
    let Some(text) = variable.filter(|text| !text.is_empty()) else {
        return Ok(DEFAULT_MEMORY);
    };
    let size = parse_size(text).and_then(|size| usize::try_from(size).ok());
    size.ok_or_else(|| format!("{MEMORY} is '{text}', expected {EXPECTED_SIZE}"))
}

/// Returns the folder that a variable names, or that of the system.
fn temporary_folder(variable: Option<String>) -> PathBuf {
    let folder = variable.filter(|folder| !folder.is_empty());
    folder.map_or_else(env::temp_dir, PathBuf::from)
}
