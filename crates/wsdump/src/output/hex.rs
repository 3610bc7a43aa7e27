//! Bytes, for people.

use std::fmt;

/// Bytes on one line.
const ROW: usize = 16;

/// Bytes as hexadecimal digits: on one line, or as a table with offsets and letters.
pub(crate) struct Hex<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes:", self.0.len())?;
        if self.0.len() <= ROW {
            return self.0.iter().try_for_each(|byte| write!(f, " {byte:02x}"));
        }
        for (number, row) in self.0.chunks(ROW).enumerate() {
            write!(f, "\n  {:08x} ", number * ROW)?;
            for at in 0..ROW {
                let gap = if at == ROW / 2 { " " } else { "" };
                match row.get(at) {
                    Some(byte) => write!(f, "{gap} {byte:02x}")?,
                    None => write!(f, "{gap}   ")?,
                }
            }
            let letter = |byte: &u8| if (b' '..=b'~').contains(byte) { char::from(*byte) } else { '.' };
            write!(f, "  {}", row.iter().map(letter).collect::<String>())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_bytes_are_a_line_and_many_a_table() {
        assert_eq!(Hex(b"\x00\xffA").to_string(), "3 bytes: 00 ff 41");
        let table = Hex(b"0123456789abcdef\x1bz").to_string();
        let expected = "18 bytes:\n  00000000  30 31 32 33 34 35 36 37  38 39 61 62 63 64 65 66  0123456789abcdef\n  \
            00000010  1b 7a                                             .z";
        assert_eq!(table, expected);
    }
}
