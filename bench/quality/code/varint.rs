/// Writes small numbers in few bytes: seven bits each, the high bit says "more".
pub fn write_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push((value as u8 & 0x7f) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Returns the number and how many bytes it took.
pub fn read_varint(input: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0u64;
    for (i, byte) in input.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            return Some((value, i + 1));
        }
    }
    None
}

/// Maps signed to unsigned so that -1 stays short.
pub fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

pub fn unzigzag(value: u64) -> i64 {
    ((value >> 1) as i64) ^ -((value & 1) as i64)
}

/// Stores a rising list as the gaps between neighbours.
pub fn encode_sorted(numbers: &[u64]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut last = 0;
    for &n in numbers {
        write_varint(n - last, &mut out);
        last = n;
    }
    out
}
