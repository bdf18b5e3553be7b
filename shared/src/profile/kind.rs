//! The types of raw numbers, and the orders of their parts.

/// How the words of a register are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// High byte of a register.
    U8High,
    /// Low byte of a register.
    U8Low,
    /// High byte of a register, two's complement.
    I8High,
    /// Low byte of a register, two's complement.
    I8Low,
    /// Unsigned, 16 bits; also SunSpec enum16.
    U16,
    /// Two's complement, 16 bits; also SunSpec's scale factor.
    I16,
    /// Unsigned, 32 bits.
    U32,
    /// Two's complement, 32 bits.
    I32,
    /// Unsigned, 64 bits.
    U64,
    /// Two's complement, 64 bits.
    I64,
    /// IEEE 754, 16 bits.
    F16,
    /// IEEE 754, 32 bits.
    F32,
    /// IEEE 754, 64 bits.
    F64,
    /// Four decimal digits of four bits each.
    Bcd16,
    /// A sign bit and 15 bits of magnitude.
    Sm16,
    /// One coil or discrete input.
    Bit,
    /// A set of bits, 16 bits.
    Bits16,
    /// A set of bits, 32 bits.
    Bits32,
    /// Text of so many registers, ended by NUL or padded with spaces.
    Text(u16),
    /// Text of so many UTF-16 characters, one a register.
    Utf16(u16),
}

impl Kind {
    /// How many registers it takes.
    pub const fn width(self) -> u16 {
        match self {
            Kind::U8High | Kind::U8Low | Kind::I8High | Kind::I8Low => 1,
            Kind::U16 | Kind::I16 | Kind::F16 | Kind::Bcd16 | Kind::Sm16 | Kind::Bit | Kind::Bits16 => 1,
            Kind::U32 | Kind::I32 | Kind::F32 | Kind::Bits32 => 2,
            Kind::U64 | Kind::I64 | Kind::F64 => 4,
            Kind::Text(registers) | Kind::Utf16(registers) => registers,
        }
    }

    /// How many bits its raw number has; nought for text.
    pub const fn bits(self) -> u32 {
        match self {
            Kind::U8High | Kind::U8Low | Kind::I8High | Kind::I8Low => 8,
            Kind::Text(_) | Kind::Utf16(_) => 0,
            Kind::Bit => 1,
            _ => self.width() as u32 * 16,
        }
    }

    /// Whether its number is a float.
    pub const fn is_float(self) -> bool {
        matches!(self, Kind::F16 | Kind::F32 | Kind::F64)
    }

    /// Whether it holds text.
    pub const fn is_text(self) -> bool {
        matches!(self, Kind::Text(_) | Kind::Utf16(_))
    }

    /// Whether it is a set of bits.
    pub const fn is_bits(self) -> bool {
        matches!(self, Kind::Bits16 | Kind::Bits32)
    }

    /// Whether its raw number is two's complement.
    pub const fn is_signed(self) -> bool {
        matches!(self, Kind::I8High | Kind::I8Low | Kind::I16 | Kind::I32 | Kind::I64)
    }
}

/// Which part comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The more significant one, as Modbus has it.
    HighFirst,
    /// The less significant one.
    LowFirst,
}
