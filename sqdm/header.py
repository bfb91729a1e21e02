"""The C header of the registers and descriptors."""

from sqdm.rtl.config import Config
from sqdm.rtl.descriptor import BYTES, FIELDS, Kind, Output, Resample
from sqdm.rtl.registers import ID_VALUE, REGISTERS, Policy, Register, Status

CONFIG_MACROS = ("dense_arrays", "sparse_arrays", "slots", "lanes", "bus_bits", "max_channels", "max_out_channels",
                 "max_size", "max_images", "act_rows")  # fmt: skip


def _word(name: str, word: Register) -> list[str]:
    """Macros of a register's or descriptor word's offset and fields."""
    lines = [f"#define {name} 0x{word.offset:02x}u"]
    for part in word.fields:
        lines.append(f"#define {name}_{part.name.upper()}_LSB {part.lsb}u /* {part.doc} */")
        lines.append(f"#define {name}_{part.name.upper()}_MASK 0x{((1 << part.width) - 1) << part.lsb:08x}u")
    return lines


def c_header(config: Config) -> str:
    """Offsets, fields and values of registers (``SQDM_...``) and descriptor words (``SQDM_DESCRIPTOR_...``) and the
    sizes of `config` (``SQDM_CONFIG_...``) as macros.
    """
    lines = [
        "/* Registers and descriptors of the sqdm accelerator: byte offsets, fields, values; by `sqdm generate`. */",
        "#ifndef SQDM_REGISTERS_H",
        "#define SQDM_REGISTERS_H",
        "",
        f"/* Configuration {config.name} */",
    ]
    lines += [f"#define SQDM_CONFIG_{key.upper()} {getattr(config, key)}u" for key in CONFIG_MACROS]
    lines += ["", f"#define SQDM_ID_VALUE 0x{ID_VALUE:08x}u", ""]
    for register in REGISTERS.values():
        lines.append(f"/* {register.access}: {register.doc} */")
        lines += _word(f"SQDM_{register.name}", register)
        if register.access == "rw":
            lines.append(f"#define SQDM_{register.name}_RESET 0x{register.reset:08x}u")
    lines += ["", f"#define SQDM_DESCRIPTOR_BYTES {BYTES}u"]
    for word in FIELDS.values():
        lines.append(f"/* descriptor: {word.doc} */")
        lines += _word(f"SQDM_DESCRIPTOR_{word.name}", word)
    for values in (Policy, Status, Kind, Output, Resample):
        lines.append("")
        lines += [f"#define SQDM_{values.__name__.upper()}_VALUE_{value.name} {value.value}u" for value in values]
    return "\n".join([*lines, "", "#endif", ""])
