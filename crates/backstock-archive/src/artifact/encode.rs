//! One worker's compressor: a plaintext in, one independent zstd frame (RFC 8878) or gzip member (RFC 1952) out.

use backstock_host::memory::{GIVEN_BACK_BYTES, buffer_to_give_back};
use backstock_vocabulary::Codec;
use libdeflater::{CompressionLvl, Compressor};
use zstd::zstd_safe::{CCtx, CParameter, compress_bound, get_error_name};

use super::{ArtifactOptions, FRAME_SIZE_BYTES, LARGE_FRAME_BYTES};

/// The highest level of libdeflate; 10 to 12 are its slow, thorough ones.
const GZIP_LEVEL_LIMIT: i32 = 12;

pub(crate) enum Encoder {
    Zstd(CCtx<'static>),
    Gzip(Box<Compressor>),
}

impl Encoder {
    /// Checks the level. The text of an error says what is wrong with it.
    pub(crate) fn new(options: &ArtifactOptions) -> Result<Self, String> {
        let level = options.level;
        match options.codec {
            Codec::Zstd => {
                let highest = zstd::zstd_safe::max_c_level();
                if !(1..=highest).contains(&level) {
                    return Err(format!("zstd has the levels 1 to {highest}, not {level}"));
                }
                let mut context = CCtx::try_create().ok_or("no memory for a compressor")?;
                let table = options.table_log.map(CParameter::HashLog);
                let window = options.table_log.map(|_| CParameter::WindowLog(FRAME_SIZE_BYTES.ilog2()));
                let always = [
                    CParameter::CompressionLevel(level),
                    CParameter::ChecksumFlag(true),
                    CParameter::ContentSizeFlag(true),
                ];
                for parameter in always.into_iter().chain(table).chain(window) {
                    context.set_parameter(parameter).map_err(get_error_name)?;
                }
                Ok(Self::Zstd(context))
            }
            Codec::Gzip => match CompressionLvl::new(level) {
                Ok(valid) if level > 0 => Ok(Self::Gzip(Box::new(Compressor::new(valid)))),
                _ => Err(format!("gzip has the levels 1 to {GZIP_LEVEL_LIMIT}, not {level}")),
            },
        }
    }

    /// Puts one frame into `out`, whose former content is lost.
    pub(crate) fn encode(&mut self, plaintext: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        out.clear();
        match self {
            Self::Zstd(context) => {
                let bound = compress_bound(plaintext.len());
                if bound > LARGE_FRAME_BYTES && bound > out.capacity() {
                    *out = Vec::new();
                    *out = buffer_to_give_back(bound);
                }
                out.reserve(bound);
                context.compress2(out, plaintext).map_err(get_error_name)?;
            }
            Self::Gzip(compressor) => {
                // Zeros fresh from the system take memory only where they are written over: filling a used buffer up to
                // the worst case would take all of it.
                *out = Vec::new();
                *out = vec![0; compressor.gzip_compress_bound(plaintext.len()).max(GIVEN_BACK_BYTES)];
                let size = compressor.gzip_compress(plaintext, out).map_err(|error| error.to_string())?;
                out.truncate(size);
            }
        }
        Ok(())
    }
}
