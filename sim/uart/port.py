"""A serial port that counts its bytes."""

import contextlib

import serial

from sqdm.errors import DeviceError, UserError


class SerialPort:
    """A serial port, 8N1, opened for this process alone.

    Parameters: ``name`` of the port (such as /dev/ttyUSB0), ``baud``. ``sent`` and ``received`` count bytes. Raises
    `UserError` when the port cannot be opened, `DeviceError` when it fails later.
    """

    def __init__(self, name: str, baud: int):
        self.name = name
        self.baud = baud
        self.sent = 0
        self.received = 0
        try:
            self._serial = serial.Serial(name, baud, exclusive=True)
        except (serial.SerialException, OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise UserError(f"the serial port {name!r} must be open for use: {reason}") from None
        if hasattr(self._serial, "set_low_latency_mode"):
            # USB adapters collect bytes for up to 16 ms otherwise; not every port knows the mode.
            with contextlib.suppress(OSError, ValueError):
                self._serial.set_low_latency_mode(True)

    def write(self, frame: bytes) -> None:
        """Send bytes."""
        try:
            self._serial.write(frame)
        except (serial.SerialException, OSError) as error:
            raise DeviceError(f"the serial port {self.name!r} must stay connected: {error}") from None
        self.sent += len(frame)

    def read(self, size: int, timeout: float) -> bytes:
        """``size`` bytes, or those that came within ``timeout`` seconds."""
        try:
            self._serial.timeout = timeout
            found = self._serial.read(size)
        except (serial.SerialException, OSError) as error:
            raise DeviceError(f"the serial port {self.name!r} must stay connected: {error}") from None
        self.received += len(found)
        return found

    def drop_input(self) -> None:
        """Forget what has come so far."""
        try:
            self._serial.reset_input_buffer()
        except (serial.SerialException, OSError) as error:
            raise DeviceError(f"the serial port {self.name!r} must stay connected: {error}") from None

    def close(self) -> None:
        """Give the port back."""
        self._serial.close()
