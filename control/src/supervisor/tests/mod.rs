mod crew;
mod links;
mod privileges;
mod watchdog;
