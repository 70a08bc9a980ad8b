//! Serialisers and compressors by kombu's names.

use super::Invalid;

/// How the body is serialised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Serializer {
    /// `json`, Celery's default.
    #[default]
    Json,
    /// `msgpack`.
    Msgpack,
    /// `yaml`.
    Yaml,
}

impl Serializer {
    /// By the name or content type that kombu knows.
    ///
    /// # Errors
    /// An unknown name, or `pickle`, which is refused; the key is empty.
    pub fn from_name(name: &str) -> Result<Self, Invalid> {
        match name {
            "json" | "application/json" => Ok(Self::Json),
            "msgpack" | "application/x-msgpack" => Ok(Self::Msgpack),
            "yaml" | "application/x-yaml" => Ok(Self::Yaml),
            "pickle" | "application/x-python-serialize" => Err(Invalid::new(
                "",
                "the pickle serializer is not supported: only Python can write pickles, and reading one runs code",
            )
            .help("use \"json\", \"msgpack\" or \"yaml\"")),
            other => Err(Invalid::new("", format!("unknown serializer {other:?}"))
                .help("one of \"json\", \"msgpack\", \"yaml\"")),
        }
    }

    /// The `content-type` of its output.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Msgpack => "application/x-msgpack",
            Self::Yaml => "application/x-yaml",
        }
    }

    /// The `content-encoding` of its output.
    #[must_use]
    pub fn content_encoding(self) -> &'static str {
        match self {
            Self::Json | Self::Yaml => "utf-8",
            Self::Msgpack => "binary",
        }
    }
}

/// How the serialised body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Compression {
    /// `gzip` or `zlib`: both are a zlib stream, as in kombu.
    Zlib,
    /// `bzip2`.
    Bzip2,
    /// `lzma`: an xz container.
    Lzma,
    /// `brotli`.
    Brotli,
    /// `zstd`.
    Zstd,
}

impl Compression {
    /// By the name, alias or content type that kombu knows.
    ///
    /// # Errors
    /// An unknown name; the key is empty.
    pub fn from_name(name: &str) -> Result<Self, Invalid> {
        match name {
            "gzip" | "zlib" | "application/x-gzip" => Ok(Self::Zlib),
            "bzip2" | "bzip" | "application/x-bz2" => Ok(Self::Bzip2),
            "lzma" | "xz" | "application/x-lzma" => Ok(Self::Lzma),
            "brotli" | "application/x-brotli" => Ok(Self::Brotli),
            "zstd" | "zstandard" | "application/zstd" => Ok(Self::Zstd),
            other => Err(
                Invalid::new("", format!("unknown compression {other:?}")).help(
                    "one of \"gzip\", \"zlib\", \"bzip2\", \"lzma\", \"xz\", \"brotli\", \"zstd\"",
                ),
            ),
        }
    }

    /// The `compression` header.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Zlib => "application/x-gzip",
            Self::Bzip2 => "application/x-bz2",
            Self::Lzma => "application/x-lzma",
            Self::Brotli => "application/x-brotli",
            Self::Zstd => "application/zstd",
        }
    }
}
