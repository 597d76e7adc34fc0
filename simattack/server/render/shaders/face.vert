#version 330
in vec3 position;
uniform mat4 model;
uniform mat4 world_to_clip;
out vec3 v_world;

void main() {
    vec4 world = model * vec4(position, 1.0);
    v_world = world.xyz;
    gl_Position = world_to_clip * world;
}
