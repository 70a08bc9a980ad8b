//! Floats as Python writes them.

/// `repr` of a finite float: the shortest digits that read back the same, an exponent below 1e-4
/// and from 1e16. Not finite: `inf`, `-inf`, `nan`.
#[must_use]
pub fn python_float(number: f64) -> String {
    if number.is_nan() {
        return "nan".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let scientific = shortest(number);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if !(-4..16).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}e{sign}{:02}", exponent.abs());
    }
    let (sign, mantissa) = mantissa
        .strip_prefix('-')
        .map_or(("", mantissa), |rest| ("-", rest));
    let digits = mantissa.replace('.', "");
    let point = usize::try_from(exponent + 1).unwrap_or(0);
    if point == 0 {
        let zeros = usize::try_from(-exponent - 1).unwrap_or(0);
        format!("{sign}0.{}{digits}", "0".repeat(zeros))
    } else if digits.len() > point {
        format!("{sign}{}.{}", &digits[..point], &digits[point..])
    } else {
        format!("{sign}{digits}{}.0", "0".repeat(point - digits.len()))
    }
}

/// The shortest digits that read back the same, as `-1.25e-7`. Of two that are equally near, Rust
/// takes the upper and Python the even one.
fn shortest(number: f64) -> String {
    let rust = format!("{number:e}");
    let mantissa = rust.split('e').next().unwrap_or_default();
    let decimals = mantissa.split_once('.').map_or(0, |(_, rest)| rest.len());
    let even = format!("{number:.decimals$e}");
    if even.parse() == Ok(number) {
        even
    } else {
        rust
    }
}

#[cfg(test)]
mod tests {
    use super::python_float;

    #[test]
    fn is_python_repr() {
        for (number, text) in [
            (1.0, "1.0"),
            (-0.0, "-0.0"),
            (0.1, "0.1"),
            (1e15, "1000000000000000.0"),
            (9_999_999_999_999_998.0, "9999999999999998.0"),
            (1e16, "1e+16"),
            (1.5e16, "1.5e+16"),
            (0.0001, "0.0001"),
            (0.000_01, "1e-05"),
            (1e-7, "1e-07"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            (1e100, "1e+100"),
            (123_456.789, "123456.789"),
            (0.001_25, "0.00125"),
            (-120.0, "-120.0"),
            (8_420_751_682_882_237.0 / 4.0, "2105187920720559.2"),
            (1_795_163_884.130_395, "1795163884.130395"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::NAN, "nan"),
        ] {
            assert_eq!(python_float(number), text);
        }
    }
}
