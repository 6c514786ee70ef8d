mod crew;
mod privileges;
mod watchdog;
