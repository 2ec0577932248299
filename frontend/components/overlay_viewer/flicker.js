// Two pictures in turn: by itself at a speed, or by hand.

class Flicker {
  constructor(changed) {
    this.changed = changed;
    this.isSecond = false;
    // Who asked the system for less motion starts it by hand.
    this.isPlaying = !matchMedia("(prefers-reduced-motion: reduce)").matches;
  }

  /** Follows what is on view: it turns in its own mode alone. `speed` is in pictures per second. */
  follow(isOn, speed) {
    const interval = isOn && this.isPlaying ? 1000 / speed : null;
    if (interval === this.interval) return;
    this.interval = interval;
    clearInterval(this.timer);
    if (interval !== null) this.timer = setInterval(() => this.turn(), interval);
  }

  turn() {
    this.isSecond = !this.isSecond;
    this.changed();
  }

  /** Shows the other picture and leaves it there. */
  flip() {
    this.isPlaying = false;
    this.turn();
  }

  toggle() {
    this.isPlaying = !this.isPlaying;
    this.changed();
  }

  close() {
    clearInterval(this.timer);
  }
}
