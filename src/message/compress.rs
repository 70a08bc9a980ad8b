//! Compression of bodies, each with the parameters that kombu leaves at Python's defaults.

use std::io::{self, Write};

use super::Compression;

impl Compression {
    /// Compresses `body` as kombu does.
    ///
    /// # Errors
    /// Only when the library runs out of memory.
    pub fn compress(self, body: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Self::Zlib => {
                let mut to =
                    flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::new(6));
                to.write_all(body)?;
                to.finish()
            }
            Self::Bzip2 => {
                let mut to = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::new(9));
                to.write_all(body)?;
                to.finish()
            }
            Self::Lzma => {
                let mut to = liblzma::write::XzEncoder::new(Vec::new(), 6);
                to.write_all(body)?;
                to.finish()
            }
            Self::Brotli => {
                // Its defaults are those of Python's package: quality 11, window 22.
                let mut to = brotlic::CompressorWriter::new(Vec::new());
                to.write_all(body)?;
                to.into_inner().map_err(brotlic::IntoInnerError::into_error)
            }
            Self::Zstd => zstd::bulk::compress(body, 3),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] =
        b"[[], {}, {\"callbacks\": null, \"errbacks\": null, \"chain\": null, \"chord\": null}]";

    /// Hexadecimal of what Python 3.11 and the brotli package make of `BODY`.
    #[test]
    fn is_what_python_compresses() {
        for (name, hex) in [
            (
                "gzip",
                "789c8b8e8ed551a8ae0562a5e4c49c9ca4c4e4ec62252b85bcd29c1c1d05a5d4a2223491e48cc4cc3c646e7e510a945b1b0b00d1e71941",
            ),
            (
                "bzip2",
                "425a683931415926535992bf82cc00000d1b8050040010000a3e6d9a0a2000543506869a00d341282434da9a3d462323829f4ac6774f535160581ee4f99ad52476a0ea50348eacb700cdbcc14098e57e2ee48a70a121257f0598",
            ),
            (
                "xz",
                "fd377a585a000004e6d6b4460200210116000000742fe5a3e0004c00335d002de17058203da2f8a10452c14d61496ba0cb53ee45b128a524922df62f3893ac24bdca01c37827553d2954b610aff6eb6ba8000000fc47478d5b1ae0c700014f4dccdb0a5f1fb6f37d010000000004595a",
            ),
            (
                "brotli",
                "1b4c00e08dd462cd19eee436b66eb89b4f7cb5039b51e878c0559910d15e58576ac1061c441206cb4c2ae3dea87471e71eda96161a30aebc00",
            ),
        ] {
            let compressed = Compression::from_name(name)
                .unwrap()
                .compress(BODY)
                .unwrap();
            let text = crate::message::objects::hex(&compressed);
            assert_eq!(text, hex, "{name}");
        }
    }

    #[test]
    fn zstd_comes_back() {
        let compressed = Compression::Zstd.compress(BODY).unwrap();
        assert_eq!(compressed[..4], [0x28, 0xb5, 0x2f, 0xfd]);
        assert_eq!(zstd::bulk::decompress(&compressed, 1000).unwrap(), BODY);
    }
}
