//! One worker's compressor: a plaintext in, one independent zstd frame (RFC 8878) or gzip member (RFC 1952) out.

use backstock_host::memory::buffer_to_give_back;
use backstock_vocabulary::Codec;
use libdeflater::{CompressionLvl, Compressor};
use zstd::zstd_safe::{CCtx, CParameter, compress_bound, get_error_name};

use super::{ArtifactOptions, FRAME_SIZE_BYTES};

/// What a frame longer than a usual one becomes has a buffer of its own above this, which is given back, bytes.
const LARGE_BYTES: usize = 2 * FRAME_SIZE_BYTES;

/// The highest level of libdeflate; 10 to 12 are its slow, thorough ones.
const GZIP_LEVEL_LIMIT: i32 = 12;

pub(crate) enum Encoder {
    Zstd(CCtx<'static>),
    /// The compressor, and a buffer as long as the worst case, which is written to in all its length: outputs take no more
    /// memory than they need.
    Gzip(Box<Compressor>, Vec<u8>),
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
                Ok(valid) if level > 0 => Ok(Self::Gzip(Box::new(Compressor::new(valid)), Vec::new())),
                _ => Err(format!("gzip has the levels 1 to {GZIP_LEVEL_LIMIT}, not {level}")),
            },
        }
    }

    /// Puts one frame into `out`, whose former content is lost.
    pub(crate) fn encode(&mut self, plaintext: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        out.clear();
        match self {
            Self::Zstd(context) => {
                require_capacity(out, compress_bound(plaintext.len()));
                context.compress2(out, plaintext).map_err(get_error_name)?;
            }
            Self::Gzip(compressor, worst) => {
                let bound = compressor.gzip_compress_bound(plaintext.len());
                if worst.len() < bound {
                    worst.clear();
                    require_capacity(worst, bound);
                    worst.resize(bound, 0);
                }
                let size = compressor.gzip_compress(plaintext, worst).map_err(|error| error.to_string())?;
                if bound > LARGE_BYTES {
                    worst.truncate(size);
                    std::mem::swap(worst, out);
                    *worst = Vec::new();
                } else {
                    out.extend_from_slice(&worst[..size]);
                }
            }
        }
        Ok(())
    }
}

/// Makes room for so many bytes in a buffer that is empty.
fn require_capacity(buffer: &mut Vec<u8>, size_bytes: usize) {
    if size_bytes > LARGE_BYTES && size_bytes > buffer.capacity() {
        *buffer = Vec::new();
        *buffer = buffer_to_give_back(size_bytes);
    }
    buffer.reserve(size_bytes);
}
