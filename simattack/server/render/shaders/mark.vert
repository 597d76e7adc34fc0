#version 330
in vec3 position;
in vec3 color;
uniform mat4 world_to_clip;
out vec3 v_color;

void main() {
    v_color = color;
    gl_Position = world_to_clip * vec4(position, 1.0);
}
